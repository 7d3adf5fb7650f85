// The page: one button, two waveforms, the words, and what is wrong when something is.

import { Call } from "./call.js";
import { Problem, describe } from "./problems.js";
import { Transcript } from "./transcript.js";
import { Waves } from "./waves.js";

const POLL_MS = 1500;
const SERVER = {
  ready: "ready",
  starting: "loading the model",
  restarting: "restarting the agent",
  stopped: "shutting down",
  gone: "no server",
};
const FLOOR = {
  idle: "Not connected",
  connecting: "Connecting",
  listening: "Listening to you",
  replying: "Agent is speaking",
  yielding: "Giving you the floor",
  waiting: "Waiting for the agent",
};

const at = (id) => document.getElementById(id);
const transcript = new Transcript(at("transcript"), at("empty"));
const waves = new Waves(at("user-wave"), at("agent-wave"));
let call = null;
let poll = 0;
let stats = 0;
let computeMs = [];

function showServer(state) {
  at("server").dataset.state = state;
  at("server").textContent = SERVER[state] ?? state;
}

function showFloor(floor) {
  waves.floor = floor;
  at("floor").dataset.floor = floor;
  at("floor").textContent = FLOOR[floor] ?? floor;
}

function showButton(state) {
  at("talk").dataset.state = state;
  at("talk-label").textContent = { idle: "Start talking", connecting: "Cancel", live: "Stop" }[state];
}

function showProblem(error) {
  const { kind, title, text } = describe(error);
  at("problem").dataset.kind = kind;
  at("problem-title").textContent = title;
  at("problem-text").textContent = text;
  at("problem").hidden = false;
}

function hideProblem(kind) {
  if (kind === undefined || at("problem").dataset.kind === kind) at("problem").hidden = true;
}

/** Ask the server how it is; again and again only while it is not ready. */
async function askServer() {
  clearTimeout(poll);
  let state = "gone";
  let detail = "";
  try {
    let agent;
    ({ status: state, detail, agent } = await (await fetch("readyz")).json());
    at("stat-model").textContent = agent?.llm_model ?? agent?.thinker ?? "–";
  } catch { /* no server, or something else on its port */ }
  showServer(state);
  if (state === "ready") {
    hideProblem("starting");
    hideProblem("broken");
    return;
  }
  if (detail && !call) showProblem(new Problem("broken", `The server says: ${detail}. It tries again.`));
  poll = setTimeout(askServer, POLL_MS);
}

async function start() {
  hideProblem();
  showButton("connecting");
  showFloor("connecting");
  const mine = new Call();
  call = mine;
  mine.addEventListener("connected", () => connected(mine));
  mine.addEventListener("server", (event) => receive(event.detail));
  mine.addEventListener("interrupted", () => showFloor("waiting"));
  mine.addEventListener("muted", () => showProblem(new Problem("silent")));
  mine.addEventListener("ended", (event) => ended(event.detail));
  try {
    await mine.start(at("remote"));
  } catch (error) {
    mine.abandon();
    if (call === mine) ended(error);
  }
}

function connected(mine) {
  if (at("talk").dataset.state === "live") return showFloor("listening");
  showButton("live");
  transcript.clear();
  waves.start(mine.microphone, mine.remote);
  showFloor("listening");
  const echo = mine.settings.echoCancellation;
  at("stat-echo").textContent = echo === undefined ? "unknown" : echo ? "on" : "off (use headphones)";
  computeMs = [];
  stats = setInterval(() => showStats(mine), 1000);
}

function ended(problem) {
  call = null;
  clearInterval(stats);
  waves.stop();
  showButton("idle");
  showFloor("idle");
  if (problem) showProblem(problem);
  askServer();
}

const handlers = {
  "floor.changed": (event) => showFloor(event.floor),
  "user.transcript.delta": (event) => transcript.heard(event.text),
  "user.transcript.revised": (event) => transcript.revised(event.text),
  "user.turn_ended": (event) => transcript.turnEnded(event.text),
  "reply.started": (event) => {
    const ms = event.response_ms + (event.transport_ms ?? 0);
    hideProblem("speechless");
    transcript.replyStarted(ms);
    at("stat-response").textContent = `${ms} ms`;
  },
  "reply.text.delta": (event) => transcript.written(event.text),
  "reply.spoken.delta": (event) => transcript.spoken(event.text),
  "reply.done": (event) => transcript.replyDone(event.status, event.heard_text),
  "tick.compute": (event) => {
    computeMs.push(event.compute_ms);
    if (computeMs.length > 125) computeMs.shift();
  },
  "worker.restarting": () => {
    showServer("restarting");
    showFloor("waiting");
    showProblem(new Problem("restarting"));
  },
  "worker.ready": (event) => {
    showServer("ready");
    showFloor("listening");
    hideProblem("restarting");
    transcript.note(event.restored
      ? "The agent was restarted. It remembers what was said up to its last reply."
      : "The agent was restarted. It remembers nothing of what was said before.");
  },
  // An error with a code is the server's and ends the call; one without is the conversation's.
  "error": (event) => showProblem(new Problem(event.code ? "ended" : "speechless", event.message)),
};

function receive(event) {
  handlers[event.type]?.(event);
}

async function showStats(mine) {
  const sorted = [...computeMs].sort((a, b) => a - b);
  if (sorted.length) {
    const median = sorted[Math.floor(sorted.length / 2)];
    const slow = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))];
    at("stat-compute").textContent = `${Math.round(median)} ms, 95 % under ${Math.round(slow)} ms`;
  }
  const ms = await mine.roundTripMs();
  if (ms !== null) at("stat-rtt").textContent = `${ms} ms`;
}

at("talk").addEventListener("click", () => {
  if (call) call.hangUp();
  else start();
});
at("problem-close").addEventListener("click", () => hideProblem());
document.addEventListener("click", () => {
  if (at("problem").dataset.kind === "silent") at("remote").play().then(() => hideProblem("silent"), () => {});
});
window.addEventListener("pagehide", () => call?.hangUp());
document.addEventListener("visibilitychange", () => document.hidden || call || askServer());
askServer();
