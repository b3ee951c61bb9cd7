// What pages do beyond forms and links. Without this file everything still works.
(() => {
  "use strict";
  const body = document.body;
  const $ = (selector, within) => (within || document).querySelector(selector);

  // Times in the reader's zone.
  const short = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});
  const long = new Intl.DateTimeFormat(undefined, {dateStyle: "full", timeStyle: "long"});
  function times(root) {
    for (const t of root.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (isNaN(at)) continue;
      t.textContent = short.format(at);
      t.title = long.format(at);
    }
  }

  // How long a claim still holds.
  function leases() {
    for (const e of document.querySelectorAll("[data-until]")) {
      const left = Math.ceil((new Date(e.dataset.until) - Date.now()) / 60000);
      e.textContent = left > 0 ? `${left} min left` : "over: claim it again";
    }
  }
  setInterval(leases, 15000);

  function say(text, bad) {
    const p = document.createElement("p");
    p.className = bad ? "notice bad" : "notice";
    p.textContent = text;
    $("#notice").replaceChildren(p);
  }

  // The progress of a backtest. When it has ended, the page is made anew with its report.
  function backtests(root) {
    for (const e of root.querySelectorAll("[data-backtest]")) {
      const events = new EventSource(e.dataset.backtest);
      const show = (m) => {
        const p = JSON.parse(m.data);
        if (p.total) $("progress", e).value = 100 * p.done / p.total;
        $("output", e).textContent = `${p.done} of ${p.total || "?"}`;
        if (p.type === "end" && p.state) { events.close(); location.reload(); }
      };
      events.addEventListener("progress", show);
      events.addEventListener("end", (m) => { if (JSON.parse(m.data).state) show(m); });
      addEventListener("pagehide", () => events.close());
      delete e.dataset.backtest;
    }
  }

  function ready(root) {
    times(root);
    backtests(root);
    leases();
    charts(root);
  }

  // Charts of what the tables beside them say.
  function charts(root) {
    if (!window.uPlot) return;
    for (const e of root.querySelectorAll("[data-chart]")) {
      const data = JSON.parse(e.dataset.chart);
      delete e.dataset.chart;
      const ink = getComputedStyle(body).color;
      const line = getComputedStyle(document.documentElement).getPropertyValue("--line");
      const axis = {stroke: ink, grid: {stroke: line, width: 1}, ticks: {stroke: line, width: 1}};
      const paths = uPlot.paths.stepped({align: 1}), points = {show: false};
      const plot = new uPlot({
        width: e.clientWidth - 32, height: 220, cursor: {drag: {x: false, y: false}},
        scales: {y: {range: (_, low, high) => [0, Math.max(4, high)]}},
        axes: [axis, {...axis, size: 36, incrs: [1, 2, 5, 10, 20, 50]}],
        series: [{label: "Time"}, {label: "Approved", stroke: "#2f8f4e", width: 2, paths, points, fill: "#2f8f4e33"},
          {label: "Held", stroke: "#b7791f", width: 2, paths, points}, {label: "Rejected", stroke: "#c9372c", width: 2, paths, points}],
      }, data, e);
      addEventListener("resize", () => plot.setSize({width: e.clientWidth - 32, height: 220}));
    }
  }

  // What htmx does, and what to say about it.
  body.addEventListener("htmx:afterSettle", (e) => {
    ready(e.target);
    const faults = $("#faults");
    if (faults && e.detail.requestConfig && e.detail.requestConfig.verb === "post") faults.focus();
  });
  body.addEventListener("htmx:responseError", (e) => {
    const page = new DOMParser().parseFromString(e.detail.xhr.responseText, "text/html");
    const detail = page.querySelector("#detail");
    say(detail ? detail.textContent : "This did not work. Reload the page and try again.", true);
  });
  body.addEventListener("htmx:sendError", () => say("The server cannot be reached. Try again.", true));
  // What is being typed must not be swapped away.
  body.addEventListener("htmx:beforeSwap", (e) => {
    const verb = e.detail.requestConfig && e.detail.requestConfig.verb;
    const typing = document.activeElement;
    if (verb === "get" && e.detail.target.contains(typing) && /^(TEXTAREA|INPUT|SELECT)$/.test(typing.tagName) &&
        !e.detail.requestConfig.triggeringEvent?.type.startsWith("click")) {
      e.detail.shouldSwap = false;
    }
  });

  // Uploads with progress. The answer is a page, as without scripts.
  const upload = $("#upload");
  if (upload) upload.addEventListener("submit", (e) => {
    e.preventDefault();
    const bar = $("#progress"), button = $("button", upload), xhr = new XMLHttpRequest();
    bar.hidden = false;
    button.setAttribute("aria-busy", "true");
    xhr.upload.addEventListener("progress", (p) => { if (p.lengthComputable) bar.value = 100 * p.loaded / p.total; });
    xhr.addEventListener("loadend", () => {
      bar.hidden = true;
      button.removeAttribute("aria-busy");
    });
    xhr.addEventListener("load", () => {
      const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
      if (xhr.status < 300) {
        // The page has been shown once, to us: what it had to say goes along.
        const notice = page.querySelector("#notice");
        if (notice) sessionStorage.setItem("notice", notice.textContent.trim());
        location.assign(xhr.responseURL);
        return;
      }
      const faults = page.querySelector("#upload #faults, #detail");
      say(faults ? faults.innerText.trim() : "The upload did not work.", true);
      const fresh = page.querySelector("#upload [name=idempotency_key]");
      if (fresh) $("[name=idempotency_key]", upload).value = fresh.value;
    });
    xhr.addEventListener("error", () => say("The server cannot be reached. Try again.", true));
    xhr.open("POST", upload.action);
    xhr.send(new FormData(upload));
  });

  // The queue by keyboard.
  function step(by) {
    const links = [...document.querySelectorAll("#waiting ol a")];
    if (!links.length) return;
    const at = links.findIndex((a) => a.hasAttribute("aria-current"));
    const to = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))];
    if (to && !to.hasAttribute("aria-current")) to.click();
  }
  document.addEventListener("keydown", (e) => {
    if (!$(".queue") || e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    if (/^(TEXTAREA|INPUT|SELECT)$/.test(e.target.tagName) || $("dialog[open]")) return;
    if (e.key === "j") step(1);
    else if (e.key === "k") step(-1);
    else if (e.key === "?") $("#keys").showModal();
    else if (/^[acrhen]$/.test(e.key)) {
      const target = $(`[data-key="${e.key}"]`);
      if (!target) return;
      target.click();
      if (e.key === "e") setTimeout(() => $("#f-why")?.focus());
    } else return;
    e.preventDefault();
  });
  document.addEventListener("click", (e) => {
    const opener = e.target.closest("[data-open]");
    if (opener) document.getElementById(opener.dataset.open).showModal();
  });

  // Changes as they happen: one tab of all holds the stream, and tells the others.
  const kinds = ["feed", "comment", "item", "ticket", "notice"];
  const waiting = new Map();
  function tell(names) {
    for (const name of names) {
      if (waiting.has(name)) continue; // many changes at once are one
      waiting.set(name, setTimeout(() => {
        waiting.delete(name);
        body.dispatchEvent(new CustomEvent("live:" + name));
      }, 150));
    }
  }
  function namesOf(kind, data) {
    if (kind === "reset") return kinds.concat([...document.querySelectorAll("[hx-trigger*='live:']")].map((e) => e.getAttribute("hx-trigger").match(/live:(\S+)/)[1]));
    const names = [kind];
    for (const key of ["id", "postId", "post"]) if (typeof data[key] === "string" && data[key]) names.push(data[key]);
    return names;
  }
  function follow(channel) {
    const source = new EventSource("/api/events");
    for (const kind of kinds.concat("reset")) source.addEventListener(kind, (e) => {
      let data = {};
      try { data = JSON.parse(e.data); } catch { /* a hint without details */ }
      channel?.postMessage({kind, data});
      tell(namesOf(kind, data));
    });
    source.addEventListener("ready", () => { body.dataset.live = "leads"; });
    source.addEventListener("end", (e) => {
      if (!e.data.includes('"session"')) return; // the browser comes back by itself
      source.close();
      say("Your session is over. Reload the page to sign in again.", true);
    });
  }
  if (body.dataset.user && window.EventSource) {
    const name = "ticketing-" + body.dataset.user;
    if (window.BroadcastChannel && navigator.locks) {
      const channel = new BroadcastChannel(name);
      channel.onmessage = (e) => tell(namesOf(e.data.kind, e.data.data));
      body.dataset.live = "follows";
      navigator.locks.request(name, () => new Promise(() => follow(channel))); // until this tab closes
    } else follow(null);
  }

  const told = sessionStorage.getItem("notice");
  sessionStorage.removeItem("notice");
  if (told) say(told);
  ready(document);
})();
