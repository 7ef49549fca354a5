"""A headless Chromium, by its DevTools protocol: pages that are opened, and what is in them."""

import asyncio
import json
import re
import subprocess
import tempfile

from harness import DEADLINE

COMMAND = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "--remote-allow-origins=*"]


class Page:
    """A tab."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    async def evaluate(self, expression):
        parameters = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        return await self.browser.call("Runtime.evaluate", parameters, self.session)

    async def value(self, expression):
        """What an expression is in the page."""
        told = await self.evaluate(expression)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression):
        """Waits for an expression to be true, and for the page to be so far that it can be; returns what it is."""
        until = asyncio.get_running_loop().time() + DEADLINE
        while True:
            told = await self.evaluate(expression)
            if "exceptionDetails" not in told and told["result"].get("value"):
                return told["result"]["value"]
            assert asyncio.get_running_loop().time() < until, f"never: {expression}\n{await self.value('document.body.innerText')}"
            await asyncio.sleep(0.02)


class Browser:
    """async with Browser() as browser: ..."""

    async def __aenter__(self):
        from websockets.asyncio.client import connect
        self.profile = tempfile.TemporaryDirectory(prefix="lariat-browser-", ignore_cleanup_errors=True)
        self.process = subprocess.Popen([*COMMAND, f"--user-data-dir={self.profile.name}", "about:blank"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = b""
        while not (found := re.search(rb"DevTools listening on (ws://\S+)", said)):
            line = await asyncio.wait_for(asyncio.to_thread(self.process.stderr.readline), DEADLINE)
            assert line, f"chromium has not started: {said!r}"
            said += line
        # Nobody reads what else it says: it must not fill the pipe.
        self.drain = asyncio.create_task(asyncio.to_thread(self.process.stderr.read))
        self.socket = await connect(found[1].decode(), max_size=None)
        self.last, self.answers = 0, {}
        self.reader = asyncio.create_task(self.read())
        return self

    async def __aexit__(self, *_):
        self.reader.cancel()
        await self.socket.close()
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await self.drain
        self.profile.cleanup()

    async def read(self):
        async for text in self.socket:
            message = json.loads(text)
            if message.get("id") in self.answers:
                self.answers.pop(message["id"]).set_result(message)

    async def call(self, method, parameters=None, session=None):
        self.last += 1
        answer = self.answers[self.last] = asyncio.get_running_loop().create_future()
        message = {"id": self.last, "method": method, "params": parameters or {}}
        await self.socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        told = await asyncio.wait_for(answer, DEADLINE)
        assert "error" not in told, told
        return told["result"]

    async def open(self, url):
        """A new tab with this page."""
        target = (await self.call("Target.createTarget", {"url": url}))["targetId"]
        return Page(self, (await self.call("Target.attachToTarget", {"targetId": target, "flatten": True}))["sessionId"])
