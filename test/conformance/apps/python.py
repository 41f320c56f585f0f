"""An app on the official Python SDK: `python python.py <app id>`. The same functions as in typescript.ts; prints its port when it listens."""

import logging
import socket
import sys

import flask
import inngest
import inngest.flask
import waitress

APP = sys.argv[1]
client = inngest.Inngest(app_id=APP, logger=logging.getLogger("quiet"))
logging.getLogger("quiet").setLevel(logging.CRITICAL)
functions = []


def function(own, **options):
    def register(handler):
        made = client.create_function(
            fn_id=own, trigger=inngest.TriggerEvent(event=f"{APP}/{own}"), **options
        )(handler)
        functions.append(made)
        return made

    return register


@function("sequence")
def sequence(ctx: inngest.ContextSync):
    a = ctx.step.run("a", lambda: {"n": ctx.event.data["n"]})
    ctx.step.sleep("nap", 100)
    b = ctx.step.run("b", lambda: a["n"] + 1)
    return {"a": a, "b": b}


@function("parallel")
def parallel(ctx: inngest.ContextSync):
    def one(name):
        return lambda: ctx.step.run(name, lambda: name)

    every = ctx.group.parallel(tuple(one(f"p{n}") for n in range(5)))
    first, _ = ctx.group.parallel(
        (lambda: ctx.step.run("first", lambda: len(every)), lambda: ctx.step.sleep("nap", 100))
    )
    return {"all": list(every), "first": first, "last": ctx.step.run("last", lambda: "last")}


@function("flaky", retries=3)
def flaky(ctx: inngest.ContextSync):
    def shaky():
        if ctx.attempt < 2:
            raise RuntimeError("not yet")
        return f"attempt {ctx.attempt}"

    return ctx.step.run("shaky", shaky)


@function("caught", retries=1)
def caught(ctx: inngest.ContextSync):
    def broken():
        raise RuntimeError("oh no")

    try:
        ctx.step.run("broken", broken)
    except inngest.StepError as error:
        return f"caught {error.message}"
    return "not reached"


def mourn(ctx: inngest.ContextSync):
    key = ctx.event.data["event"]["data"]["key"]
    message = ctx.event.data["error"]["message"]
    event = inngest.Event(name=f"{APP}/mourned", data={"key": key, "message": message})
    ctx.step.send_event("tell", event)


@function("failing", retries=0, on_failure=mourn)
def failing(ctx: inngest.ContextSync):
    raise inngest.NonRetriableError("for good")


@function("waiter")
def waiter(ctx: inngest.ContextSync):
    timeout = 3_600_000 if ctx.event.data["timeout"] == "1h" else 1_000
    found = ctx.step.wait_for_event(
        "wait", event=f"{APP}/wake", if_exp="event.data.key == async.data.key", timeout=timeout
    )
    return {"found": None if found is None else found.data["word"]}


@function("child", retries=0)
def child(ctx: inngest.ContextSync):
    if ctx.event.data.get("fail"):
        raise inngest.NonRetriableError("child failed")
    return ctx.step.run("double", lambda: ctx.event.data["n"] * 2)


@function("invoker")
def invoker(ctx: inngest.ContextSync):
    good = ctx.step.invoke("good", function=child, data={"n": 21})

    def failure(step_id, own, data):
        try:
            ctx.step.invoke_by_id(step_id, function_id=own, data=data)
        except inngest.StepError as error:
            return error.message
        return None

    return {
        "good": good,
        "bad": failure("bad", "child", {"fail": True}),
        "none": failure("none", "nobody", {}),
    }


@function("sender")
def sender(ctx: inngest.ContextSync):
    return ctx.step.send_event(
        "send", inngest.Event(name=f"{APP}/sequence", data={"n": ctx.event.data["n"]})
    )


@function(
    "sleeper",
    cancel=[inngest.Cancel(event=f"{APP}/cancel", if_exp="event.data.key == async.data.key")],
)
def sleeper(ctx: inngest.ContextSync):
    ctx.step.sleep("long", 3_600_000)
    return "awake"


@function("large")
def large(ctx: inngest.ContextSync):
    a = ctx.step.run("a", lambda: "x" * 2_500_000)
    b = ctx.step.run("b", lambda: "y" * 2_500_000)
    ctx.step.sleep("nap", 1)
    return [len(a), len(b)]


app = flask.Flask(__name__)
inngest.flask.serve(app, client, functions)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
waitress.serve(app, sockets=[listener], threads=8)
