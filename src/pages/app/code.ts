import jsqr from 'jsqr';
import { encode } from 'uqr';
import { vector } from '../common/dom.js';

/** Largest picture looked at, longer side in pixels: photographs are scaled down, codes in them stay readable. */
const pictureSideMax = 1_600;
/** Between two looks at the camera's picture. */
const lookMs = 200;
/** Light border that readers need (ISO 18004). */
const quietModules = 4;

/** A text as QR code: one path of dark squares. */
export function codeView(text: string, label: string): SVGElement {
  const { data, size } = encode(text, { border: 0 });
  let path = '';
  data.forEach((row, y) => {
    row.forEach((dark, x) => {
      if (dark) path += `M${x} ${y}h1v1h-1z`;
    });
  });
  const side = size + 2 * quietModules;
  return vector(
    'svg',
    {
      viewBox: `${-quietModules} ${-quietModules} ${side} ${side}`,
      role: 'img',
      'aria-label': label,
      'shape-rendering': 'crispEdges',
    },
    vector('path', { d: path, fill: '#000000' }),
  );
}

/** The address in what a code says: programs write it bare or within a link. Null when there is none. */
export function addressIn(text: string): string | null {
  return /[1-9A-HJ-NP-Za-km-z]{44,70}/.exec(text)?.[0] ?? null;
}

function codeIn(source: CanvasImageSource, width: number, height: number): string | null {
  const scale = Math.min(1, pictureSideMax / Math.max(width, height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(width * scale)),
    Math.max(1, Math.round(height * scale)),
  );
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) return null;
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  // A CommonJS module: its function is the member `default`.
  return jsqr.default(data, canvas.width, canvas.height)?.data ?? null;
}

/** Text of the QR code in a picture file; null when none is found or the file is no picture. */
export async function codeInPicture(file: Blob): Promise<string | null> {
  let picture: ImageBitmap;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return null;
  }
  try {
    return codeIn(picture, picture.width, picture.height);
  } finally {
    picture.close();
  }
}

/**
 * Shows the camera in `video` until a code is seen or `signal` ends it; null then.
 *
 * @throws DOMException when there is no camera or the user does not allow it
 */
export async function codeInCamera(video: HTMLVideoElement, signal: AbortSignal): Promise<string | null> {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  try {
    video.srcObject = stream;
    video.hidden = false;
    await video.play();
    while (!signal.aborted) {
      const found = video.videoWidth > 0 ? codeIn(video, video.videoWidth, video.videoHeight) : null;
      if (found !== null) return found;
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
    return null;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    video.hidden = true;
  }
}
