"""The official JavaScript client works against the host unmodified."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from openwhisk_local import Host

PACKAGE = "openwhisk@3.21.9"
SCRIPT = """
const openwhisk = require("openwhisk");
const assert = require("assert");
const ow = openwhisk({ apihost: process.argv[2], api_key: process.argv[3], ignore_certs: true });
const echo = "def main(args):\\n    return {k: v for k, v in args.items() if k != '__ow_headers'}\\n";
const add = "def main(args):\\n    return {'n': args['n'] + 1}\\n";
const kind = "python:3.11";
const until = async (found) => {
  for (let i = 0; i < 200; i++) {
    const value = await found().catch((error) => { if (error.statusCode !== 404) throw error; });
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it did not happen in time");
};

async function main() {
  assert.deepStrictEqual(await ow.namespaces.list(), ["guest"]);
  assert.deepStrictEqual(await ow.actions.list(), []);

  await ow.packages.create({ name: "tools", package: { parameters: [{ key: "p", value: 1 }] } });
  await ow.actions.create({ name: "add", action: add, kind });
  await ow.actions.create({ name: "tools/echo", action: echo, kind, params: { q: 2 }, annotations: { about: "echo" } });
  await assert.rejects(ow.actions.create({ name: "add", action: add, kind }), (error) => error.statusCode === 409);
  const updated = await ow.actions.update({ name: "add", action: add, kind, limits: { memory: 128 } });
  assert.strictEqual(updated.version, "0.0.2");
  assert.strictEqual(updated.limits.memory, 128);
  const got = await ow.actions.get("tools/echo");
  assert.strictEqual(got.exec.code, echo);
  assert.deepStrictEqual((await ow.actions.list()).map((row) => row.name).sort(), ["add", "echo"]);
  assert.deepStrictEqual((await ow.packages.get("tools")).actions.map((row) => row.name), ["echo"]);

  const result = await ow.actions.invoke({ name: "tools/echo", params: { r: 3 }, blocking: true, result: true });
  assert.deepStrictEqual(result, { p: 1, q: 2, r: 3 });
  const activation = await ow.actions.invoke({ name: "add", params: { n: 1 }, blocking: true });
  assert.strictEqual(activation.response.success, true);
  await assert.rejects(
    ow.actions.invoke({ name: "add", blocking: true }),
    (error) => error.statusCode === 502 && error.error.response.result.error === "'n'");
  const { activationId } = await ow.actions.invoke({ name: "add", params: { n: 41 } });
  const record = await until(() => ow.activations.get(activationId));
  assert.deepStrictEqual(record.response.result, { n: 42 });
  assert.deepStrictEqual((await ow.activations.result(activationId)).result, { n: 42 });
  assert.deepStrictEqual((await ow.activations.logs(activationId)).logs, []);
  assert.ok((await ow.activations.list({ limit: 2 })).length === 2);

  await ow.actions.create({ name: "twice", sequence: ["/_/add", "/_/add"] });
  const sequence = await ow.actions.invoke({ name: "twice", params: { n: 0 }, blocking: true });
  assert.deepStrictEqual(sequence.response.result, { n: 2 });
  assert.strictEqual(sequence.logs.length, 2);

  await ow.triggers.create({ name: "tick", trigger: { parameters: [{ key: "t", value: 1 }] } });
  await ow.rules.create({ name: "rule", action: "/_/tools/echo", trigger: "tick" });
  assert.strictEqual((await ow.rules.get("rule")).status, "active");
  const fired = await ow.triggers.invoke({ name: "tick", params: { u: 2 } });
  const line = JSON.parse((await until(() => ow.activations.get(fired.activationId))).logs[0]);
  const started = await until(() => ow.activations.get(line.activationId));
  assert.deepStrictEqual(started.response.result, { p: 1, q: 2, t: 1, u: 2 });
  await ow.rules.disable({ name: "rule" });
  assert.strictEqual((await ow.rules.get("rule")).status, "inactive");
  await ow.rules.enable({ name: "rule" });
  assert.strictEqual((await ow.rules.get("rule")).status, "active");

  const lifecycle = "def main(args):\\n    return {k: args[k] for k in ('lifecycleEvent', 'triggerName', 'kind')}\\n";
  await ow.actions.create({ name: "tools/source", action: lifecycle, kind, annotations: { feed: true } });
  const feed = { name: "tools/source", trigger: "tick", params: { kind: "any" } };
  for (const [verb, event] of [["create", "CREATE"], ["get", "READ"], ["update", "UPDATE"], ["delete", "DELETE"]]) {
    const answered = await ow.feeds[verb](feed);
    assert.strictEqual(answered.response.result.lifecycleEvent, event);
    assert.ok(answered.response.result.triggerName.endsWith("/tick"));
  }

  for (const name of ["twice", "add", "tools/echo", "tools/source"]) await ow.actions.delete(name);
  await ow.rules.delete("rule");
  await ow.triggers.delete("tick");
  await ow.packages.delete("tools");
  await assert.rejects(ow.actions.get("add"), (error) => error.statusCode === 404);
  assert.deepStrictEqual(await ow.rules.list(), []);
  console.log(JSON.stringify({ done: true }));
}

main().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client in it, installed by npm."""
    npm = shutil.which("npm")
    assert npm is not None, "the contract test of the JavaScript client needs node and npm"
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert installed.returncode == 0, installed.stderr
    return folder


def test_the_javascript_client_works(modules: Path, host: Host) -> None:
    (modules / "contract.js").write_text(SCRIPT)
    node = shutil.which("node")
    assert node is not None
    command = [node, "contract.js", host.apihost, host.auth]
    done = subprocess.run(
        command, cwd=modules, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"done": True}
