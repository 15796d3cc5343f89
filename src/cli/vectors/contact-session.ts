import { addressText, createSigner, p521, type Signer } from '../../identity/index.js';
import {
  type AgreementSource,
  acceptContact,
  agreementSource,
  type ContactState,
  decodeAcceptAdd2,
  decodeKeys2,
  decodeSpixiMessage,
  decodeStreamMessage,
  Encryption,
  encodeStreamMessage,
  type HandshakeContext,
  type HandshakeOutcome,
  type Line,
  type LocalProfile,
  messageAad,
  mlKemPublicKeyOf,
  type OutgoingMessage,
  openSecureConnection,
  type ReceivingParty,
  receiveMessage,
  requestContact,
  requestContactLegacy,
  rsa2Decrypt,
  rsaDecrypt,
  type SessionKeys,
  Spixi,
  type SpixiMessage,
  type StreamMessage,
  sessionKeysOf,
  spixi1Decrypt,
  spixi2Decrypt,
  streamMessageChecksum,
} from '../../messages/index.js';
import { bytesEqual, DecodeError, toHex } from '../../wire/index.js';
import {
  compareOut,
  type Json,
  type JsonObject,
  type Outcome,
  type VectorCase,
  type VectorContext,
} from './case.js';
import { vectorEngine } from './engine.js';
import { walletKey } from './family-07-streaming.js';
import { bytes, int, list, objects, text } from './ledger-fields.js';

/**
 * Replays a two-party transcript of the contact set-up (test/vectors/README.md §4.4): both parties run our
 * state machine, fed with the recorded messages at the recorded times and with the recorded randomness.
 */
export async function replaySession(c: VectorCase, ctx: VectorContext): Promise<Outcome> {
  const replay = new Replay(c, ctx, await party(c, ctx, 'A'), await party(c, ctx, 'B'));
  await replay.run();
  return replay.verdict();
}

type Name = 'A' | 'B';

interface Party {
  readonly name: Name;
  readonly line: Line;
  readonly signer: Signer;
  readonly profile: LocalProfile;
  readonly receiving: ReceivingParty;
  contact: ContactState | null;
  /** Everything our machine wanted to send. */
  readonly produced: OutgoingMessage[];
  /** This party's state went another way than the transcript's, for the reason of a strict rule. */
  apart: boolean;
  /** Every pair of session keys this party ever held. */
  readonly held: SessionKeys[];
}

async function party(c: VectorCase, ctx: VectorContext, name: Name): Promise<Party> {
  const q = c.in[name] as JsonObject;
  const wallet = typeof q.ephemeralWallet === 'string' ? q.ephemeralWallet : text(q, 'wallet');
  const signer = await createSigner(walletKey(ctx, wallet));
  const line: Line = text(q, 'line') === '0.9.7' ? '0.9.7' : '0.9.8';
  const profile: LocalProfile = {
    address: signer.address,
    publicKey: signer.publicKey,
    capabilities: int(q, 'capabilities'),
    nick: text(q, 'nick'),
    avatar: null,
    line,
  };
  const engine = await vectorEngine(ctx);
  const receiving: ReceivingParty = { addresses: [signer.address], signer, engine, line };
  return { name, line, signer, profile, receiving, contact: null, produced: [], apart: false, held: [] };
}

interface Entry {
  readonly expected: JsonObject;
  readonly message: StreamMessage;
  readonly from: Party;
  readonly to: Party;
  /** Opened with the recipient's RSA key; null where only session keys open it. */
  readonly underRsa: Uint8Array | null;
  /** As the receiver found it, with its keys of that moment. */
  opened: Uint8Array | null;
  received: boolean;
  sentAt: number | null;
}

/** Types whose every field our machine must produce too; the rest depends on application and queue. */
const reproduced: ReadonlySet<number> = new Set([
  Spixi.requestAdd,
  Spixi.acceptAdd,
  Spixi.keys,
  Spixi.getNick,
  Spixi.nick,
  Spixi.requestAdd2,
  Spixi.acceptAdd2,
  Spixi.keys2,
  Spixi.openSecureConnection,
]);

const KEYS_ID = Uint8Array.of(2);

class Replay {
  readonly #entries: Entry[] = [];
  readonly #steps: JsonObject[] = [];
  #failure: string | null = null;
  #uncovered: string | null = null;
  /** Steps whose message our rules drop, where the reference did something with it. */
  readonly #strictSteps: ReadonlySet<number>;
  /** The reference's own course is not to be followed (glare): only states and keys count. */
  readonly #loose: boolean;

  constructor(
    readonly c: VectorCase,
    readonly ctx: VectorContext,
    readonly a: Party,
    readonly b: Party,
  ) {
    const strict = c.strict ?? {};
    this.#strictSteps = new Set(strict.steps === undefined ? [] : list(strict, 'steps').map(Number));
    this.#loose = strict.accept === true;
  }

  async run(): Promise<void> {
    for (const m of objects(this.c.out, 'messages')) this.#entries.push(await this.#entry(m));
    let index = 0;
    for (const step of objects(this.c.out, 'steps')) {
      this.#steps.push(await this.#step(step, index));
      index += 1;
    }
    for (const e of this.#entries) this.#checkProduced(e);
  }

  #fail(detail: string): void {
    this.#failure ??= detail;
  }

  #partyOf(address: Uint8Array | null): Party | null {
    for (const p of [this.a, this.b])
      if (address !== null && bytesEqual(p.profile.address, address)) return p;
    return null;
  }

  async #entry(expected: JsonObject): Promise<Entry> {
    const message = decodeStreamMessage(bytes(expected, 'bytes'));
    const from = this.#partyOf(message.sender);
    const to = this.#partyOf(message.recipient);
    if (from === null || to === null) throw new DecodeError('BADARG', 'messages.bytes', 0, 'foreign address');
    const data = message.data ?? new Uint8Array(0);
    const aad = messageAad(message.id, message.type, message.timestamp);
    let underRsa: Uint8Array | null = null;
    if (message.encryptionType === Encryption.none) underRsa = data;
    else if (message.encryptionType === Encryption.rsa) underRsa = await rsaDecrypt(data, to.signer);
    else if (message.encryptionType === Encryption.rsa2) underRsa = await rsa2Decrypt(data, to.signer, aad);
    return { expected, message, from, to, underRsa, opened: null, received: false, sentAt: null };
  }

  /** Opens with what the receiver holds now. */
  #open(e: Entry): Uint8Array | null {
    if (e.underRsa !== null) return e.underRsa;
    const keys = e.to.contact === null ? null : sessionKeysOf(e.to.contact);
    return keys === null ? null : openWith(e.message, keys);
  }

  /** Opens with any keys the sender ever held: what the receiver had none for. */
  #openLater(e: Entry): Uint8Array | null {
    if (e.underRsa !== null) return e.underRsa;
    for (const keys of e.from.held) {
      const plain = openWith(e.message, keys);
      if (plain !== null) return plain;
    }
    return null;
  }

  async #step(step: JsonObject, index: number): Promise<JsonObject> {
    const own = step.actor === 'A' ? this.a : this.b;
    const peer = own === this.a ? this.b : this.a;
    const time = int(step, 'time');
    for (const i of step.sent === null || step.sent === undefined ? [] : list(step, 'sent')) {
      const e = this.#entries[Number(i)];
      if (e === undefined || e.from !== own || e.sentAt !== null)
        this.#fail(`steps[${index}].sent: message ${i}`);
      else e.sentAt = time;
    }
    const before = own.contact;
    const env = this.#context(own, step, time);
    const result: { -readonly [K in keyof JsonObject]: Json } = { time, actor: own.name };
    const action = text(step, 'action');
    if (action === 'receive') result.handled = await this.#receive(own, step, index, env);
    else this.#act(own, peer, action, env);
    result.contact = own.contact === null ? null : contactJson(own.contact);
    this.#checkSecrets(own, before, step, index);
    return result;
  }

  async #receive(own: Party, step: JsonObject, index: number, env: HandshakeContext): Promise<string> {
    const e = this.#entries[int(step, 'message')];
    if (e === undefined || e.to !== own) {
      this.#fail(`steps[${index}].message: not a message to ${own.name}`);
      return '';
    }
    e.opened = this.#open(e);
    e.received = true;
    const outcome = await receiveMessage(e.message, own.contact, env, own.receiving);
    if (this.#strictSteps.has(index) && (outcome.effects.length > 0 || outcome.contact !== own.contact))
      this.#fail(`steps[${index}]: an undecryptable message had an effect`);
    // 0.9.7 acknowledges keys2 unencrypted; taken by the reference, refused here (07 §6.3): states part.
    if (outcome.dropped === null || !this.#loose) this.#take(own, outcome);
    else if (e.message.encryptionType === Encryption.none && e.underRsa !== null) {
      const s = decodeSpixiMessage(e.underRsa);
      if (s.type === Spixi.msgReceived && s.data !== null && bytesEqual(s.data, KEYS_ID)) own.apart = true;
    }
    return outcome.handled ?? 'null';
  }

  #act(own: Party, peer: Party, action: string, env: HandshakeContext): void {
    const knownKey = action.includes('public key unknown') ? null : peer.profile.publicKey;
    if (action.startsWith('send contact request')) {
      // At status 3 our client starts over (07 §5.4); this transcript shows what becomes of it otherwise, so
      // only the other party's doing is judged.
      if (own.contact?.handshakeStatus === 3) return;
      this.#take(own, requestContact(peer.profile.address, own.contact, knownKey, env));
    } else if (action === 'send v0 contact request') {
      this.#take(own, requestContactLegacy(peer.profile.address, knownKey, env));
    } else if (action === 'user approves contact') {
      const outcome = own.contact === null ? null : acceptContact(own.contact, env);
      if (outcome !== null) this.#take(own, outcome);
    } else if (action === 'open secure connection') {
      this.#take(own, openSecureConnection(peer.profile.address, peer.profile.publicKey, env));
    } else if (action.startsWith('re-installed')) own.contact = null;
    else if (!/^(queue pass|send |application answers|close)/.test(action)) this.#uncovered ??= action;
  }

  #take(own: Party, outcome: HandshakeOutcome): void {
    own.contact = outcome.contact;
    const keys = outcome.contact === null ? null : sessionKeysOf(outcome.contact);
    if (keys !== null) own.held.push(keys);
    for (const e of outcome.effects) {
      if (e.kind === 'send') own.produced.push(e.message);
      else if (e.kind === 'deliver' && e.receipt !== null) own.produced.push(e.receipt);
    }
  }

  /** The recorded randomness: keys from the step's secrets, salts from the messages they went into. */
  #context(own: Party, step: JsonObject, now: number): HandshakeContext {
    const secrets = new Map(
      (step.secrets === undefined ? [] : objects(step, 'secrets')).map((s) => [
        text(s, 'kind'),
        bytes(s, 'value'),
      ]),
    );
    const need = (kind: string): Uint8Array => {
      const v = secrets.get(kind);
      if (v === undefined)
        throw new DecodeError('BADARG', `secrets.${kind}`, 0, 'not recorded for this step');
      return new Uint8Array(v);
    };
    const ecdhPublic = (): Uint8Array => p521.publicKey(need('ecdhPrivateKey'));
    const source: AgreementSource = {
      ecdhKeys: () => ({ privateKey: need('ecdhPrivateKey'), publicKey: ecdhPublic() }),
      mlKemKeys: () => {
        const privateKey = need('mlkemPrivateKey');
        return { privateKey, publicKey: mlKemPublicKeyOf(privateKey) };
      },
      encapsulate: () => ({
        sharedSecret: need('mlkemSharedSecret'),
        ciphertext: this.#keys2With(own, ecdhPublic()).mlKemCiphertext,
      }),
      bytes: (n) => (n === 32 ? this.#recordedSalt(own, secrets, now) : agreementSource.bytes(n)),
    };
    return {
      self: own.profile,
      now,
      source,
      allowRequests: true,
      // The recording nodes kept no chat history: reactions found nothing to apply to.
      hasMessage: () => false,
    };
  }

  #sentSpixi(own: Party, type: number): SpixiMessage[] {
    const found: SpixiMessage[] = [];
    for (const e of this.#entries) {
      if (e.from !== own || e.underRsa === null) continue;
      const s = decodeSpixiMessage(e.underRsa);
      if (s.type === type) found.push(s);
    }
    return found;
  }

  #keys2With(own: Party, ecdhPublicKey: Uint8Array): ReturnType<typeof decodeKeys2> {
    for (const s of this.#sentSpixi(own, Spixi.keys2)) {
      const k = decodeKeys2(s.data ?? new Uint8Array(0));
      if (bytesEqual(k.ecdhPublicKey, ecdhPublicKey)) return k;
    }
    throw new DecodeError('BADARG', 'keys2', 0, 'no message with the recorded key');
  }

  /** The 32 random bytes of this step: aesSalt or chachaSalt, or a whole version 0 key. */
  #recordedSalt(own: Party, secrets: ReadonlyMap<string, Uint8Array>, now: number): Uint8Array {
    const privateKey = secrets.get('ecdhPrivateKey');
    if (privateKey === undefined) {
      const accepted = this.#sentSpixi(own, Spixi.acceptAdd)[0]?.data;
      if (accepted !== undefined && accepted !== null) return new Uint8Array(accepted);
      const keys = this.#sentSpixi(own, Spixi.keys)[0]?.data;
      if (keys !== undefined && keys !== null) return keys.slice(keys.length - 32);
      throw new DecodeError('BADARG', 'secrets', 0, `nothing recorded at ${now}`);
    }
    const ecdhPublicKey = p521.publicKey(privateKey);
    if (secrets.has('mlkemSharedSecret'))
      return new Uint8Array(this.#keys2With(own, ecdhPublicKey).chachaSalt);
    for (const s of this.#sentSpixi(own, Spixi.acceptAdd2)) {
      const a = decodeAcceptAdd2(s.data ?? new Uint8Array(0));
      if (bytesEqual(a.ecdhPublicKey, ecdhPublicKey)) return new Uint8Array(a.aesSalt);
    }
    throw new DecodeError('BADARG', 'acceptAdd2', 0, 'no message with the recorded key');
  }

  /** Secrets that are results, not randomness, must come out of our key agreement too. */
  #checkSecrets(own: Party, before: ContactState | null, step: JsonObject, index: number): void {
    if (step.secrets === undefined || own.apart) return;
    const message = step.message === undefined ? undefined : this.#entries[Number(step.message)];
    const body =
      message === undefined || message.underRsa === null ? null : decodeSpixiMessage(message.underRsa);
    const secrets = objects(step, 'secrets');
    const value = (kind: string): Uint8Array | null => {
      const s = secrets.find((x) => x.kind === kind);
      return s === undefined ? null : bytes(s, 'value');
    };
    const expect = (kind: string, actual: Uint8Array | null | undefined): void => {
      const v = value(kind);
      if (v !== null && (actual === null || actual === undefined || !bytesEqual(v, actual)))
        this.#fail(`steps[${index}].secrets: ${kind}`);
    };
    if (value('hkdf:IXI AES Key') !== null) {
      expect('hkdf:IXI AES Key', own.contact?.aesKey);
      expect('hkdf:IXI ChaCha Key', own.contact?.chachaKey);
    }
    const data = body?.data ?? new Uint8Array(0);
    if (body?.type === Spixi.keys2 && before?.pending !== null && before !== null)
      expect(
        'ecdhSharedSecret',
        p521.sharedSecret(before.pending.ecdhPrivateKey, decodeKeys2(data).ecdhPublicKey),
      );
    const privateKey = value('ecdhPrivateKey');
    if (body?.type === Spixi.acceptAdd2 && privateKey !== null)
      expect('ecdhSharedSecret', p521.sharedSecret(privateKey, decodeAcceptAdd2(data).ecdhPublicKey));
  }

  /** Set-up messages of the transcript must be among those our machine wanted to send, field by field. */
  #checkProduced(e: Entry): void {
    const plain = this.#openLater(e);
    if (this.#loose || plain === null) return;
    const { type } = decodeSpixiMessage(plain, '0.9.7');
    const session =
      e.message.encryptionType === Encryption.spixi1 || e.message.encryptionType === Encryption.spixi2;
    // A request under the session keys is the reference's mistake (07 §5.4); ours never leaves.
    if (!reproduced.has(type) || (session && type === Spixi.requestAdd2)) return;
    const m = e.message;
    const made = e.from.produced.some(
      (p) =>
        bytesEqual(p.id, m.id) &&
        bytesEqual(p.plaintext, plain) &&
        p.type === m.type &&
        BigInt(p.timestamp) === m.timestamp &&
        p.confirm === m.requireRcvConfirmation &&
        (session ? p.mode === 'session' : p.version === m.version && modeEncryption(p) === m.encryptionType),
    );
    if (!made) this.#fail(`messages[${this.#entries.indexOf(e)}]: not what this side would send`);
  }

  #messageJson(e: Entry, index: number): JsonObject {
    const { message: m } = e;
    const plain = this.#openLater(e);
    const spixiType = plain === null ? null : decodeSpixiMessage(plain, '0.9.7').type;
    const flag = spixiType === null ? true : confirmFlag(e, spixiType);
    return {
      index,
      from: e.from.name,
      to: e.to.name,
      time: e.sentAt,
      bytes: toHex(encodeStreamMessage({ ...m, requireRcvConfirmation: flag })),
      lost: !e.received,
      decrypts: e.opened !== null,
      spixiType: e.opened === null ? null : spixiType,
      plaintext: e.opened === null ? null : toHex(e.opened),
      checksum: toHex(streamMessageChecksum(m)),
      aad: toHex(messageAad(m.id, m.type, m.timestamp)),
    };
  }

  verdict(): Outcome {
    if (this.#uncovered !== null) return { kind: 'uncovered', detail: this.#uncovered };
    if (this.#failure !== null) return { kind: 'failed', detail: this.#failure };
    // How a message travelled is the queue's affair (README §4.4).
    const messages = this.#entries.map((e, i) => this.#messageJson(e, i));
    const m = compareOut(list(this.c.out, 'messages'), messages, ['messages[*].sentVia'], 'messages');
    if (m !== null) return { kind: 'failed', detail: `${m.path}: ${m.detail}` };
    let index = 0;
    for (const step of objects(this.c.out, 'steps')) {
      const failure = this.#compareStep(step, this.#steps[index]!, index);
      if (failure !== null) return { kind: 'failed', detail: failure };
      index += 1;
    }
    return { kind: 'passed' };
  }

  #compareStep(step: JsonObject, actual: JsonObject, index: number): string | null {
    const expected: { -readonly [K in keyof JsonObject]: Json } = {};
    // The rest of a step is what happened, not what came of it.
    if ('handled' in step) expected.handled = this.#strictSteps.has(index) ? 'null' : step.handled!;
    if ('contact' in step) expected.contact = step.contact!;
    // Key pairs of an acceptAdd2 that our side defers do not exist yet.
    const ignore = this.#loose ? ['*.contact.aesSalt', '*.contact.ecdhPrivateKey'] : [];
    const own = step.actor === 'A' ? this.a : this.b;
    if (own.apart && this.#loose) return null;
    const m = compareOut(
      expected,
      actual,
      ignore.map((p) => p.replace('*', `steps[${index}]`)),
      `steps[${index}]`,
    );
    return m === null ? null : `${m.path}: ${m.detail}`;
  }
}

function openWith(m: StreamMessage, keys: SessionKeys): Uint8Array | null {
  if (m.data === null) return null;
  return m.encryptionType === Encryption.spixi1
    ? spixi1Decrypt(m.data, keys)
    : spixi2Decrypt(m.data, keys, messageAad(m.id, m.type, m.timestamp));
}

function modeEncryption(m: OutgoingMessage): number {
  if (m.mode === 'rsa') return Encryption.rsa;
  return m.mode === 'rsa2' ? Encryption.rsa2 : Encryption.none;
}

/** The confirmation flag a line sets (07 §7): receipts of 0.9.7 and the direct answer to keys2 go without. */
function confirmFlag(e: Entry, spixiType: number): boolean {
  if (spixiType !== Spixi.msgReceived) return true;
  if (e.from.line === '0.9.7') return false;
  return e.message.type !== 1;
}

function contactJson(c: ContactState): JsonObject {
  const hex = (b: Uint8Array | null | undefined): string | null =>
    b === null || b === undefined ? null : toHex(b);
  return {
    handshakeStatus: c.handshakeStatus,
    protocolVersion: c.protocolVersion,
    peerCapabilities: c.capabilities,
    // A temporary channel has no name to show.
    nick: c.kind === 'normal' ? (c.nick ?? addressText(c.address)) : null,
    aesKey: hex(c.aesKey),
    chachaKey: hex(c.chachaKey),
    aesSalt: hex(c.pending?.aesSalt),
    ecdhPrivateKey: hex(c.pending?.ecdhPrivateKey),
    knowsPeerKey: c.publicKey !== null,
  };
}
