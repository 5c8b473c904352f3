import { assertEquals } from "@std/assert";
import { onTermination } from "./shutdown.ts";

/** Listeners of signals do not keep a process alive; a timer does while a test waits for them. */
function stayAlive(): Disposable {
  const timer = setInterval(() => {}, 1000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

Deno.test("onTermination ends once in good order, and at once on a second signal", async () => {
  using _alive = stayAlive();
  const codes: number[] = [];
  const started = Promise.withResolvers<void>(), done = Promise.withResolvers<void>();
  let exited = Promise.withResolvers<void>();
  const exit = (code: number) => {
    codes.push(code);
    exited.resolve();
  };
  using _handlers = onTermination(() => {
    started.resolve();
    return done.promise;
  }, { signals: ["SIGUSR2"], exit });
  Deno.kill(Deno.pid, "SIGUSR2");
  await started.promise;
  assertEquals(codes, []);
  Deno.kill(Deno.pid, "SIGUSR2");
  await exited.promise;
  assertEquals(codes, [143]);
  exited = Promise.withResolvers<void>();
  done.resolve();
  await exited.promise;
  assertEquals(codes, [143, 0]);
});

Deno.test("onTermination exits with 1 when the end fails", async () => {
  using _alive = stayAlive();
  const { promise, resolve } = Promise.withResolvers<number>();
  using _handlers = onTermination(() => Promise.reject(new Error("stuck")), {
    signals: ["SIGUSR2"],
    exit: resolve,
  });
  Deno.kill(Deno.pid, "SIGUSR2");
  assertEquals(await promise, 1);
});
