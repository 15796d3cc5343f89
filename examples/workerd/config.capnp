using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .verify)],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "main")],
);

const verify :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "dist/worker.js"),
    (name = "scalar.wasm", wasm = embed "dist/scalar.wasm"),
    (name = "simd.wasm", wasm = embed "dist/simd.wasm"),
    (name = "relaxed.wasm", wasm = embed "dist/relaxed.wasm"),
  ],
  compatibilityDate = "2026-04-01",
);
