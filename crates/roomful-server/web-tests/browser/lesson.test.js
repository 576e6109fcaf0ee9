import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl, sees, write } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

/** The group chat page of the Django Channels lesson, as its readers have it; only the address is this server's. */
const lesson = (/** @type {string} */ host) => `<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="UTF-8">
    <title>Title</title>
</head>
<body>
<div class="message" id="message"></div>
<div>
    <input type="text" placeholder="请输入" id="txt">
    <input type="button" value="发送" onclick="sendMessage()">
    <input type="button" value="关闭连接" onclick="closeConn()">
</div>

<script>
    socket = new WebSocket("ws://${host}/room/123/");
    socket.onopen = function (event) {
        let tag = document.createElement("div");
        tag.innerText = "连接成功";
        document.getElementById("message").appendChild(tag);
    }

    socket.onmessage = function (event) {
        let tag = document.createElement("div");
        tag.innerText = event.data;
        document.getElementById("message").appendChild(tag);
    }

    function sendMessage(){
        let tag = document.getElementById("txt");
        socket.send(tag.value);
    }

    function closeConn(){
        socket.close();
    }
    socket.onclose = function (event) {
        let tag = document.createElement("div");
        tag.innerText = "服务端断开";
        document.getElementById("message").appendChild(tag);
    }

</script>
</body>
</html>`;

/** @param {import("playwright-core").Page} page @param {string[]} wanted */
async function shows(page, wanted) {
  const matches = (/** @type {string[]} */ lines) => {
    const there = [...document.querySelectorAll("#message > div")].map((line) => line.textContent);
    return JSON.stringify(there) === JSON.stringify(lines);
  };
  await page.waitForFunction(matches, wanted);
}

test("the page of the Channels lesson works as it is: everybody sees everything in order, the sender too", async () => {
  const { server, browser } = world;
  const open = async () => {
    const page = await browser.visit("about:blank");
    const body = lesson(new URL(server.url).host);
    await page.route("**/room/123/", (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body }));
    await page.goto(`${server.url}/room/123/`);
    await shows(page, ["连接成功"]);
    return page;
  };
  const [first, second] = [await open(), await open()];
  const said = ["连接成功"];
  for (let i = 1; i <= 10; i += 1) {
    for (const [who, page] of [["甲", first], ["乙", second]]) {
      const text = `${who} 说第 ${i} 句 <b>🎉</b>`;
      said.push(text);
      await page.fill("#txt", text);
      await page.click("text=发送");
      await Promise.all([shows(first, said), shows(second, said)]);
    }
  }
  assert.equal(said.length, 21);

  // And it is the same room as the finished page's.
  const finished = await browser.visit(roomUrl(server.url, "123"), { name: "丙" });
  await live(finished);
  await sees(finished, said.slice(1));
  await write(finished, "我也在");
  await shows(first, [...said, "我也在"]);
  await first.click("text=关闭连接");
  await shows(first, [...said, "我也在", "服务端断开"]);
});
