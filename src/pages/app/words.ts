import { type ChatMessage, ClientError } from '../../client/index.js';
import { AddressTextError, WalletError } from '../../identity/index.js';

/** What went wrong, as a person wants to read it. */
export function problemText(error: unknown): string {
  if (error instanceof WalletError)
    switch (error.code) {
      case 'WRONG_PASSWORD':
        return 'The password is wrong.';
      case 'WEAK_PASSWORD':
        return 'The password needs at least 10 characters.';
      case 'UNKNOWN_VERSION':
      case 'UNSUPPORTED_VERSION':
      case 'CORRUPT':
        return `This is no usable wallet file: ${error.message}.`;
      case 'MULTI_PRIME':
        return 'This is the wallet of a relay; browsers cannot use it.';
      case 'VIEW_ONLY':
        return 'This wallet holds no private key: it can only watch.';
      default:
        return error.message;
    }
  if (error instanceof AddressTextError) return 'This is not an address, or it has a typing error.';
  if (error instanceof ClientError)
    switch (error.code) {
      case 'own-address':
        return 'That is your own address.';
      case 'text-too-long':
        return 'This message is too long.';
      default:
        return error.message;
    }
  return error instanceof Error ? error.message : String(error);
}

/** How far a sent text has come. */
export function markText(m: ChatMessage): string {
  switch (m.state) {
    case 'queued':
      return '◷ kept';
    case 'sent':
      return '✓ sent';
    case 'delivered':
      return '✓✓ delivered';
    case 'read':
      return m.direction === 'out' ? '✓✓ read' : '';
    case 'expired':
      return '✗ given up';
    case 'received':
      return '';
  }
}

/** An address short enough for a list: beginning and end tell apart what people compare. */
export function shortAddress(address: string): string {
  return address.length <= 16 ? address : `${address.slice(0, 8)}…${address.slice(-6)}`;
}

/** Time of day today, date and time otherwise. */
export function timeText(seconds: number): string {
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  return at.toLocaleString(
    undefined,
    today ? { timeStyle: 'short' } : { dateStyle: 'short', timeStyle: 'short' },
  );
}
