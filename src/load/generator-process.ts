// A generator in a process of its own: gets its plan over the pipe, reports every second, ends with its parent.
import { getPriority, setPriority } from 'node:os';
import { LoadError } from './errors.js';
import { Generator } from './generator.js';
import { type FromGenerator, nicenessOf, type ToGenerator } from './plan.js';

let generator: Generator | null = null;

function tell(message: FromGenerator): void {
  // A parent that has gone hears nothing, and the disconnect below ends us.
  if (process.connected) process.send!(message, () => undefined);
}

function giveWay(niceness: number): void {
  if (niceness > 0) setPriority(Math.min(19, getPriority() + niceness));
}

function fail(e: Error): void {
  tell({ type: 'error', kind: e instanceof LoadError ? e.kind : 'process', message: e.message });
}

process.on('message', (message: ToGenerator) => {
  switch (message.type) {
    case 'plan':
      try {
        giveWay(nicenessOf(message.plan));
        generator = new Generator(message.plan, {
          onConnected: (open, failures) => tell({ type: 'connected', open, failures }),
          onSecond: (sample) => tell({ type: 'second', sample }),
          onPhase: (phase) => tell({ type: 'phase', phase }),
          onDone: (result) => tell({ type: 'done', result }),
          onError: fail,
        });
        generator.connect();
      } catch (e) {
        fail(e as Error);
      }
      return;
    case 'go':
      generator?.go(message.atMs);
      return;
    case 'stop':
      generator?.stop();
  }
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the parent decides when we end.
process.on('SIGINT', () => undefined);
process.on('uncaughtException', (e) => {
  fail(e);
  process.exitCode = 1;
  setTimeout(() => process.exit(), 100).unref();
});
tell({ type: 'hello' });
