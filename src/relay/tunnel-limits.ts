/**
 * Every bound of the tunnels that a relay offers to browsers (docs/websocket.md §8), in one place. Units are in the
 * names.
 */
export interface TunnelLimits {
  /** Tunnels at once: each holds a browser's socket and one towards another relay. */
  readonly tunnelsMax: number;
  /** The same for one source address: a household of browsers, each with a few contacts elsewhere. */
  readonly tunnelsPerSourceMax: number;
  /** Tunnels one source address may ask for in a minute: failing ones cost other relays a connection too. */
  readonly tunnelsPerSourceMinuteMax: number;
  /** Source addresses counted in a minute; past it newcomers are refused, so that nobody grows the table. */
  readonly tunnelSourcesMax: number;
  /** TCP connect, as every client of the protocol gives it (08 §5). */
  readonly tunnelDialMs: number;
  /** The other end must have said the five time records by then, as a server of this protocol does at once (03 §2.4). */
  readonly tunnelGreetingMs: number;
  /** Nothing either way: both ends of the protocol ping every 3 s and give up after 10 s (03 §2.5). */
  readonly tunnelIdleMs: number;
  /** A tunnel ends after this however busy: its client connects again, so no place is taken for ever. */
  readonly tunnelLifetimeMs: number;
  /** Bytes of one tunnel towards its relay that may wait there: one largest stream message and its frame. */
  readonly tunnelBytesMax: number;
  /** Bytes kept of a browser whose tunnel is paused, where its WebSocket cannot be slowed; then the tunnel ends. */
  readonly tunnelUnreadBytesMax: number;
  /** Bytes that wait in all tunnels together; who would go beyond is ended. */
  readonly tunnelsBytesMax: number;
  /** How often idle and old tunnels are looked for; also the error of those times. */
  readonly tunnelSweepMs: number;
}

export const DEFAULT_TUNNEL_LIMITS: TunnelLimits = {
  tunnelsMax: 512,
  tunnelsPerSourceMax: 32,
  tunnelsPerSourceMinuteMax: 120,
  tunnelSourcesMax: 10_000,
  tunnelDialMs: 5_000,
  tunnelGreetingMs: 5_000,
  tunnelIdleMs: 15_000,
  tunnelLifetimeMs: 3_600_000,
  tunnelBytesMax: 3 * 1024 * 1024,
  tunnelUnreadBytesMax: 512 * 1024,
  tunnelsBytesMax: 64 * 1024 * 1024,
  tunnelSweepMs: 1_000,
};
