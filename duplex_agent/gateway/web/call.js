// One conversation: microphone, peer connection, event channel.

import { Problem, microphoneProblem, refusal } from "./problems.js";

const CONNECT_MS = 20000;
const WISHES = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/**
 * Events of the target: `server` (an event object of the agent), `connected`, `ended` (detail is
 * the Problem, or null after hangUp), `interrupted` and `resumed` (the network).
 */
export class Call extends EventTarget {
  #connection = null;
  #location = null;
  #over = false;
  #timer = 0;

  /** Ask for the microphone, send the offer, apply the answer. Throws Problem. */
  async start(audioElement) {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem("insecure");
    if (!window.RTCPeerConnection) throw new Problem("unsupported");
    try {
      this.microphone = await navigator.mediaDevices.getUserMedia({ audio: WISHES });
    } catch (error) {
      throw microphoneProblem(error);
    }
    if (this.#over) return this.#close();
    const track = this.microphone.getAudioTracks()[0];
    track.addEventListener("ended", () => this.#finish(new Problem("unplugged")));
    this.settings = track.getSettings();
    await this.#connect(track, audioElement);
  }

  async #connect(track, audioElement) {
    const connection = new RTCPeerConnection({ iceServers: [] });
    this.#connection = connection;
    connection.addTrack(track, this.microphone);
    connection.addEventListener("connectionstatechange", () => this.#stateChanged());
    const channel = connection.createDataChannel("oai-events");
    channel.addEventListener("message", (message) => this.#receive(JSON.parse(message.data)));
    const remote = new Promise((resolve) => {
      connection.addEventListener("track", (event) => resolve(event.streams[0] ?? new MediaStream([event.track])));
    });
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    if (!connection.localDescription.sdp.includes("a=candidate:")) throw new Problem("offline");
    const response = await this.#offer(connection.localDescription.sdp);
    this.#location = response.headers.get("Location");
    if (this.#over) return this.#leave();
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    this.remote = await remote;
    audioElement.srcObject = this.remote;
    audioElement.play().catch(() => this.#emit("muted"));
    this.#timer = setTimeout(() => this.#finish(new Problem("unreachable")), CONNECT_MS);
  }

  async #offer(sdp) {
    let response;
    try {
      response = await fetch("v1/realtime/calls", {
        method: "POST",
        headers: { "Content-Type": "application/sdp" },
        body: sdp,
      });
    } catch {
      throw new Problem("gone");
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** Round trip to the server in ms, or null while unknown. */
  async roundTripMs() {
    const report = await this.#connection?.getStats();
    for (const entry of report?.values() ?? []) {
      if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
        return Math.round(entry.currentRoundTripTime * 1000);
      }
    }
    return null;
  }

  hangUp() {
    this.#leave();
    this.#finish(null);
  }

  /** Let go of everything without a word, for a start that failed. */
  abandon() {
    this.#over = true;
    this.#leave();
  }

  #receive(event) {
    if (event.type === "call.ended") return this.#finish(new Problem("ended", sentence(event.message)));
    this.dispatchEvent(new CustomEvent("server", { detail: event }));
  }

  async #stateChanged() {
    const state = this.#connection.connectionState;
    if (state === "connected") {
      clearTimeout(this.#timer);
      this.#emit("connected");
    } else if (state === "failed" || state === "closed") {
      this.#finish(new Problem("lost"));
    } else if (state === "disconnected") {
      this.#emit("interrupted");
      // The browser needs half a minute to give up; a server that is gone can be told at once.
      const alive = await fetch("healthz").then((r) => r.ok, () => false);
      if (!alive) this.#finish(new Problem("gone"));
    }
  }

  #finish(problem) {
    if (this.#over) return;
    this.#over = true;
    this.#close();
    this.dispatchEvent(new CustomEvent("ended", { detail: problem }));
  }

  #close() {
    clearTimeout(this.#timer);
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.#connection?.close();
  }

  /** Close, and let the server know at once that its slot is free. */
  #leave() {
    if (this.#location) fetch(`${this.#location}/hangup`, { method: "POST", keepalive: true }).catch(() => {});
    this.#location = null;
    this.#close();
  }

  #emit(name) {
    if (!this.#over) this.dispatchEvent(new Event(name));
  }
}

function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) + "." : "";
}

/** All candidates are in the offer: there is no trickle. */
function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const check = () => connection.iceGatheringState === "complete" && resolve();
    connection.addEventListener("icegatheringstatechange", check);
    setTimeout(resolve, 2000); // a dead network interface must not hold the call up
  });
}
