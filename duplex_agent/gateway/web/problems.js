// What can go wrong, in words a person can act on.

const TEXTS = {
  insecure: ["The browser blocks the microphone here.", "Open this page on http://localhost or over https: browsers give the microphone to no other address."],
  unsupported: ["This browser cannot make calls.", "Try a current Chrome, Firefox, Edge or Safari."],
  denied: ["The microphone is blocked.", "Allow it for this page in the address bar, then start again."],
  absent: ["No microphone was found.", "Plug one in or switch it on in the system settings, then start again."],
  taken: ["The microphone cannot be opened.", "Another program may hold it. Close that program, then start again."],
  unplugged: ["Microphone disconnected.", "Plug it in again, then start a new conversation."],
  gone: ["The server does not answer.", "Check that it is running (make serve), then start again."],
  full: ["The agent is in another conversation.", "It speaks with one person at a time. Try again in a moment."],
  starting: ["The agent is not ready yet.", "It is still loading. Try again in a few seconds."],
  broken: ["The agent does not start.", ""],
  restarting: ["The agent crashed and is being restarted.", "Stay on this page: the conversation goes on as soon as it is back."],
  refused: ["The server refused the call.", ""],
  offline: ["This computer has no network interface.", "Browsers carry calls over one even to the same machine. Switch Wi-Fi on; it need not lead anywhere."],
  unreachable: ["Could not connect.", "The page loads, but audio does not get through. A firewall or VPN may block UDP."],
  lost: ["The connection was lost.", "Start again when the network is back."],
  speechless: ["The agent could not answer.", ""],
  ended: ["The conversation has ended.", ""],
  silent: ["Audio is blocked until you click.", "Click anywhere on the page to hear the agent."],
};

/** An error whose `kind` names one of the texts; `detail` replaces the second sentence. */
export class Problem extends Error {
  constructor(kind, detail = "") {
    super(kind);
    this.kind = kind;
    this.detail = detail;
  }
}

/** Title and explanation of anything thrown. */
export function describe(error) {
  const [title, text] = TEXTS[error.kind] ?? ["Something went wrong.", String(error.message ?? error)];
  return { kind: error.kind ?? "unknown", title, text: error.detail || text };
}

/** What a failed getUserMedia means. */
export function microphoneProblem(error) {
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return new Problem("denied");
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return new Problem("absent");
  return new Problem("taken");
}

/** What a refused offer means. */
export async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const { code = "", message = "" } = body.error ?? {};
  if (code === "session_limit_reached") return new Problem("full");
  if (code === "worker_starting") return new Problem("starting");
  return new Problem("refused", message || `It answered with status ${response.status}.`);
}
