"""`whisktrain local`, `deploy`, `undeploy`, `follow` and `doctor`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import typer

from whisktrain.cli.context import CommandContext, command
from whisktrain.cli.output.tables import columns
from whisktrain.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from whisktrain.sdk.hosting import Hosting
    from whisktrain.sdk.hosts import HostRecord

__all__ = ["add_to"]


@command
def local(
    context: CommandContext,
    port: int = typer.Option(
        3233, "--port", help="The port; 0 takes a free one.", show_default=True
    ),
    bare: bool = typer.Option(False, "--bare", help="Deploy nothing: an empty namespace."),
    status: bool = typer.Option(False, "--status", help="List the hosts of this home instead."),
    stop: bool = typer.Option(
        False, "--stop", help="End the hosts of this home that stay between commands instead."
    ),
) -> None:
    """Run the embedded host alone, until it is stopped (Ctrl-C or SIGTERM).

    Commands share a host that the first one starts and that ends by itself, five minutes after the last one and the last run.
    """
    from whisktrain.sdk.hosting import Hosting
    from whisktrain.sdk.where import find_platform

    if context.apihost or context.platform == "openwhisk":
        raise ConfigurationError(
            "`local` starts a host of its own.", hint="Leave out --apihost and --platform."
        )
    where = find_platform(platform="embedded", store=context.store, home=context.home)
    if status or stop:
        from whisktrain.sdk.hosts import HostsOfHome

        hosts = HostsOfHome(where.home, str(where.store))
        _answer_hosts(context, hosts.end_staying() if stop else hosts.alive(), ended=stop)
        return
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.set())
    hosting = Hosting(
        where.home,
        str(where.store),
        port=port,
        folder=where.home,
        bare=bare,
        kind="local",
        narrate=context.say,
    )
    with hosting:
        hosting.publish()
        if not bare:
            _carry_on(hosting)
        file = str(hosting.host.wskprops_path)
        record = {
            "apihost": hosting.apihost,
            "auth": hosting.auth,
            "wskprops": file,
            "pid": os.getpid(),
        }
        context.answer(
            record, f"APIHOST={hosting.apihost}\nAUTH={hosting.auth}\nWSK_CONFIG_FILE={file}"
        )
        if not context.as_json:
            context.say(f"use it with: WSK_CONFIG_FILE={file} wsk list    (Ctrl-C stops it)")
        while not ending.wait(0.5):
            hosting.check()
    context.say("stopped, with every process that it started")


def _carry_on(hosting: Hosting) -> None:
    """Carry on the runs whose hosts on this machine have ended."""
    from whisktrain.openwhisk.client import Client
    from whisktrain.sdk.training.recovery import carry_on_orphans
    from whisktrain.store.opening import open_store

    store = open_store(hosting.store)
    try:
        store.ensure()
        with Client(hosting.apihost, hosting.auth) as client:
            carry_on_orphans(hosting, store, client)
    finally:
        store.close()


def _answer_hosts(context: CommandContext, hosts: list[HostRecord], *, ended: bool) -> None:
    found = [
        {"pid": host.pid, "kind": host.kind, "apihost": host.apihost or None, "runs": host.runs}
        for host in hosts
    ]
    rows = [
        (h["pid"], h["kind"], h["apihost"], ", ".join(host.runs) or None)
        for h, host in zip(found, hosts, strict=True)
    ]
    text = columns(("process", "kind", "apihost", "runs"), rows) if rows else None
    if not rows:
        context.say("There was no host to end." if ended else "There is no host now.")
    elif ended:
        text = f"ended {len(rows)} host{'s' if len(rows) > 1 else ''}"
    context.answer({"ended" if ended else "hosts": found}, text)


def _remote(context: CommandContext) -> Any:
    connection = context.connect()
    if connection.where.platform != "openwhisk":
        raise ConfigurationError(
            "This machine's own host deploys the system by itself; there is nothing to do.",
            hint="Name an OpenWhisk with --apihost and --auth, with WSK_CONFIG_FILE, or with --platform openwhisk.",
        )
    return connection


@command
def deploy(context: CommandContext) -> None:
    """Deploy the system to an OpenWhisk, as `wskdeploy -m wskdeploy.yaml` does. Its variables are in deploy/defaults.env."""
    from whisktrain.openwhisk import deployment

    with _remote(context) as connection:
        if connection.where.store is not None:
            try:
                connection.store.ensure()
                context.say(f"store {connection.store.url} is ready")
            except StoreError as error:  # it may be reachable from the containers only
                context.say(f"note: the store was not prepared from here: {error.message}")
        done = deployment.deploy(
            connection.client, environment=_site(connection), report=context.say
        )
    context.answer(
        {"status": "deployed", "entities": done},
        f"deployed {len(done)} entities to {connection.where.apihost}",
    )
    if not context.as_json:
        context.say("next: whisktrain doctor --platform openwhisk")


@command
def undeploy(context: CommandContext) -> None:
    """Delete from an OpenWhisk all that `deploy` made; the store keeps its documents."""
    from whisktrain.openwhisk import deployment

    with _remote(context) as connection:
        done = deployment.undeploy(
            connection.client, environment=_site(connection), report=context.say
        )
    context.answer(
        {"status": "undeployed", "entities": done},
        f"deleted {len(done)} entities from {connection.where.apihost}",
    )


def _site(connection: Any) -> dict[str, str]:
    """The variables that the manifest is read with: the process' own, and the store that was named."""
    named = {"WHISKTRAIN_STORE": connection.where.store} if connection.where.store else {}
    return {**os.environ, **named}


@command
def follow(
    context: CommandContext,
    until_stdin_ends: bool = typer.Option(
        False, "--until-stdin-ends", hidden=True, help="End when standard input ends."
    ),
) -> None:
    """Follow the store and fire the trigger when a round is complete; one of these runs beside every OpenWhisk deployment."""
    from whisktrain.openwhisk.follower_service import serve

    given = {
        "WHISK_APIHOST": context.apihost,
        "WHISK_AUTH": context.auth,
        "WHISKTRAIN_STORE": context.store,
    }
    environment = {**os.environ, **{k: v for k, v in given.items() if v}}
    if context.insecure:
        environment["WHISKTRAIN_INSECURE"] = "yes"
    ending = threading.Event()
    if until_stdin_ends:
        threading.Thread(
            target=_await_end_of_stdin, args=(ending,), name="stdin", daemon=True
        ).start()
    serve(environment, stop=ending)


def _await_end_of_stdin(ending: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    ending.set()


@command
def doctor(
    context: CommandContext,
    quick: bool = typer.Option(
        False, "--quick", help="Leave out the end-to-end probe, which trains a tiny model."
    ),
) -> int:
    """Check platform, deployment, store and follower; each failure comes with a hint."""
    from whisktrain.cli.output.waiting import Waiting
    from whisktrain.doctor import examine

    with context.connect(share=False) as connection, Waiting(context) as waiting:

        def report(finding: Any) -> None:
            waiting.close()
            if not context.as_json:
                mark = "ok  " if finding.ok else "FAIL"
                print(f"{mark}  {finding.name}: {finding.detail}", flush=True)  # noqa: T201
                if finding.hint:
                    print(f"      hint: {finding.hint}", flush=True)  # noqa: T201

        client, environment = connection.client, _site(connection)
        if connection.where.platform == "embedded":
            environment["WHISKTRAIN_CONTAINER_MEMORY"] = str(
                connection.own_hosting.host.limits.user_memory_mb
            )
            environment["WHISKTRAIN_EMBEDDED"] = "1"
        findings = examine(
            client,
            connection.where.store,
            environment,
            end_to_end=not quick,
            report=report,
            progress=waiting.report,
        )
    failed = [f for f in findings if not f.ok]
    record = {"success": not failed, "findings": [f.to_record() for f in findings]}
    context.answer(record, f"{len(findings) - len(failed)} of {len(findings)} checks passed")
    return ConfigurationError.exit_code if failed else 0


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("local", local),
        ("deploy", deploy),
        ("undeploy", undeploy),
        ("follow", follow),
        ("doctor", doctor),
    ):
        app.command(name)(function)
