"""The examples' pages in a browser: the file server's, and the chat's in two tabs."""

import asyncio
from pathlib import Path

from browser import Browser
from harness import example, main, test

WWW = Path(__file__).resolve().parents[2] / "examples/www"


@test("chromium", "python:websockets", seconds=40)
def a_browser_is_served():
    async def look(url):
        async with Browser() as browser:
            page = await browser.open(url)
            verdict = await page.until("document.getElementById('verdict').className")
            assert verdict == "good", await page.value("document.body.innerText")
            assert await page.until("document.getElementById('count').textContent === '200'")
            assert await page.value("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
            assert await page.value("getComputedStyle(document.querySelector('main')).display") == "grid", "the style sheet is not applied"
            drawn = "document.getElementById('rope').getContext('2d').getImageData(0, 0, 1500, 400).data.some((byte) => byte > 0)"
            assert await page.until(drawn), "there is no rope"

    with example("file_server", WWW, "tcp://127.0.0.1:0") as server:
        asyncio.run(look(f"{server.url}/"))


async def come_in(page, name):
    await page.until("document.getElementById('door')")
    await page.value(f"document.getElementById('name').value = '{name}', document.getElementById('door').requestSubmit()")
    await page.until("document.getElementById('state').className === 'open'")


async def say(page, text):
    await page.value(f"document.getElementById('text').value = {text!r}, document.getElementById('speak').requestSubmit()")


@test("chromium", "python:websockets", seconds=40)
def two_tabs_talk():
    lines = "[...document.querySelectorAll('#lines .said')].map((line) => line.textContent).join('|')"
    people = "[...document.querySelectorAll('#people li')].map((person) => person.textContent).join('|')"

    async def talk(url):
        async with Browser() as browser:
            ann, bob = await browser.open(url), await browser.open(url)
            await come_in(ann, "ann")
            await come_in(bob, "bob")
            await ann.until(f"{people} === 'ann (you)|bob'")
            await bob.until(f"{people} === 'ann|bob (you)'")
            await say(ann, "hello <b>bob</b>")
            await bob.until(f"{lines} === 'annhello <b>bob</b>'")
            await say(bob, "gr\u00fc\u00df dich \U0001f920")
            for page in (ann, bob):
                await page.until(f"{lines} === 'annhello <b>bob</b>|bobgr\u00fc\u00df dich \U0001f920'")
            await say(bob, "x" * 900)
            await ann.until(f"{lines}.endsWith('x'.repeat(900))")
            await bob.browser.call("Page.close", session=bob.session)
            await ann.until(f"{people} === 'ann (you)'")

    with example("websocket_chat", "tcp://127.0.0.1:0", WWW / "chat.html") as server:
        asyncio.run(talk(f"{server.url}/"))


main()
