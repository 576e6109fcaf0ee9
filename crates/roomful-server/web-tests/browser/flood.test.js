import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();
const MESSAGES = 1_000;
const PER_SECOND = 100;
const LONG_TASK_MS = 200;

test("1,000 messages in ten seconds: no task over 200 ms, the end stays in view, 400 are kept", async (context) => {
  const { url } = world.server;
  const page = await world.browser.visit(roomUrl(url, "flood"), { name: "Ana" });
  await live(page);
  await page.locator("#people li").first().waitFor();
  await world.server.post("flood", "the first one");
  await page.waitForSelector("#messages > li");
  // Whatever the page does from here on is in the browser's own trace.
  const cdp = await page.context().browser()?.newBrowserCDPSession();
  assert.ok(cdp);
  await cdp.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["toplevel", "devtools.timeline"] } });
  /** @type {any[]} */
  const trace = [];
  cdp.on("Tracing.dataCollected", ({ value }) => trace.push(...value));

  const began = performance.now();
  for (let sent = 0; sent < MESSAGES; ) {
    const due = Math.min(MESSAGES, Math.floor(((performance.now() - began) / 1000) * PER_SECOND));
    if (sent >= due) await new Promise((resolve) => setTimeout(resolve, 10));
    const burst = [];
    for (; sent < due; sent += 1) burst.push(world.server.post("flood", `message ${sent} with **some** marks and a https://link.example/${sent}`));
    await Promise.all(burst);
  }
  const seconds = (performance.now() - began) / 1000;
  await page.waitForFunction((wanted) => document.querySelector("#messages > li:last-child")?.getAttribute("data-seq") === String(wanted), MESSAGES + 1);
  const away = await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const { scrollHeight, scrollTop, clientHeight } = /** @type {HTMLElement} */ (document.getElementById("scroller"));
    return scrollHeight - scrollTop - clientHeight;
  });

  const done = new Promise((resolve) => cdp.once("Tracing.tracingComplete", resolve));
  await cdp.send("Tracing.end");
  await done;
  const renderers = new Set(trace.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => `${pid} ${tid}`));
  // Thread time where there is some: a machine that is busy with other things makes every task look long.
  const tasks = trace.filter(({ ph, pid, tid, name }) => ph === "X" && renderers.has(`${pid} ${tid}`) && /RunTask/.test(name));
  const longest = Math.max(...tasks.map(({ dur, tdur }) => (tdur ?? dur) / 1000));
  context.diagnostic(`${MESSAGES} messages in ${seconds.toFixed(1)} s, ${tasks.length} tasks, the longest took ${longest.toFixed(0)} ms`);
  assert.ok(tasks.length > 100, "the trace has the page's tasks");
  assert.ok(longest < LONG_TASK_MS, `a task took ${longest} ms`);
  assert.ok(Math.abs(away) < 2, `${away} px from the end`);
  assert.equal(await page.locator("#messages > li").count(), 400);
  assert.equal(await page.isVisible("#jump"), false);
});
