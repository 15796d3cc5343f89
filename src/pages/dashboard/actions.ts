import type { LivePeer } from '../../operator/live/index.js';
import { shortAddress } from '../../operator/live/index.js';
import { byId } from '../common/dom.js';
import { ApiError, call } from './api.js';

/** The question before: a dialog tells that it closed a turn later, and the next one must not take that for its answer. */
let before: Promise<unknown> = Promise.resolve();

/** Asks before something is done; true when the reader said yes. One question at a time. */
export function confirmed(title: string, text: string, yes: string): Promise<boolean> {
  const answer = before.then(() => ask(title, text, yes));
  before = answer;
  return answer;
}

function ask(title: string, text: string, yes: string): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>('ask');
  byId('ask-title').textContent = title;
  byId('ask-text').textContent = text;
  byId('ask-ok').textContent = yes;
  dialog.returnValue = 'cancel';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'ok'), { once: true });
  });
}

/** Tells what happened, for people and screen readers. */
export function notice(text: string, bad = false): void {
  const place = byId('notice');
  place.textContent = text;
  place.classList.toggle('bad', bad);
  place.hidden = text === '';
}

/** Runs a call and tells its outcome. */
async function tell(
  done: (answer: Record<string, unknown>) => string,
  work: Promise<unknown>,
): Promise<void> {
  try {
    notice(done((await work) as Record<string, unknown>));
  } catch (e) {
    if (!(e instanceof ApiError) && !(e instanceof TypeError)) throw e;
    notice(`That did not work: ${e.message}`, true);
  }
}

export async function reload(): Promise<void> {
  if (
    !(await confirmed(
      'Reload the configuration?',
      'Flags, environment and file are read again; what can change without a restart does.',
      'Reload',
    ))
  )
    return;
  await tell(
    (r) => {
      const changed = (r.changed ?? []) as string[];
      const restart = (r.restart ?? []) as string[];
      const parts = [
        changed.length === 0 ? 'Reloaded: nothing changed.' : `Reloaded: ${changed.join(', ')}.`,
      ];
      if (restart.length > 0) parts.push(`A restart is needed for ${restart.join(', ')}.`);
      return parts.join(' ');
    },
    call('POST', '/v1/reload', {}),
  );
}

export async function drain(): Promise<void> {
  const text =
    'Newcomers are sent elsewhere, the own presence lapses, clients are asked to leave one after the other. A drain that has begun is ended by a restart.';
  if (!(await confirmed('Drain this relay?', text, 'Drain'))) return;
  await tell(() => 'Draining: newcomers are sent elsewhere.', call('POST', '/v1/drain', {}));
}

export const peerActions = {
  async disconnect(peer: LivePeer): Promise<void> {
    if (
      !(await confirmed(
        'Disconnect this client?',
        `${peer.address} from ${peer.remote}. It may come back.`,
        'Disconnect',
      ))
    )
      return;
    await tell(
      () => `Disconnected ${shortAddress(peer.address)}.`,
      call('DELETE', `/v1/connections/${peer.id}`),
    );
  },
  async ban(peer: LivePeer): Promise<void> {
    if (
      !(await confirmed(
        'Ban this wallet?',
        `${peer.address} is refused from now on, until the ban is lifted.`,
        'Ban',
      ))
    )
      return;
    await tell(
      (r) => `Banned ${shortAddress(peer.address)}; ${String(r.ended ?? 0)} connections ended.`,
      call('POST', '/v1/bans', { target: peer.address, reason: 'by dashboard' }),
    );
  },
};

export async function unban(target: string): Promise<void> {
  if (!(await confirmed('Lift this ban?', `${target} may connect again.`, 'Lift'))) return;
  await tell(
    () => `Lifted the ban of ${target}.`,
    call('DELETE', `/v1/bans?target=${encodeURIComponent(target)}`),
  );
}

/** The form under the list of bans. */
export async function ban(form: HTMLFormElement): Promise<void> {
  const data = new FormData(form);
  const target = String(data.get('target') ?? '').trim();
  const hours = String(data.get('hours') ?? '');
  if (!(await confirmed('Ban?', `${target} is refused from now on, and its connections are ended.`, 'Ban')))
    return;
  await tell(
    (r) => {
      form.reset();
      return `Banned ${target}; ${String(r.ended ?? 0)} connections ended.`;
    },
    call('POST', '/v1/bans', {
      target,
      reason: String(data.get('reason') ?? ''),
      seconds: hours === '' ? null : Math.round(3600 * Number(hours)),
    }),
  );
}
