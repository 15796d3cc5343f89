/** Calls to the relay's own API, with the page's cookie. */

/** The relay answered with something else than success. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface Session {
  /** '' where the relay has no users: everybody on this machine may do everything. */
  readonly user: string;
  readonly roles: readonly string[];
}

/** Calls a method and reads its JSON answer. @throws ApiError for a refusal, TypeError when nobody answers */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(path, {
    method,
    headers: {
      'x-starling-page': '1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new ApiError(answer.status, reasonOf(text) || `the relay answered ${answer.status}`);
  return (text === '' ? null : JSON.parse(text)) as T;
}

function reasonOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } };
    return error?.message ?? '';
  } catch {
    return text.trim();
  }
}

/** Who this page is, null when it must log in first. */
export async function session(): Promise<Session | null> {
  try {
    return await call<Session>('GET', '/v1/session');
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) return null;
    throw e;
  }
}
