// What was said, as it is said: one line per turn.

export class Transcript {
  #user = null;
  #last = null; // the user's line before the reply that runs
  #agent = null;
  #spoken = "";
  #written = "";

  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
  }

  clear() {
    this.list.replaceChildren();
    this.empty.hidden = false;
    this.#user = this.#last = this.#agent = null;
  }

  /** More words of the user's turn. */
  heard(text) {
    this.#user ??= this.#line("user", "You");
    this.#user.words.textContent += text;
    this.#scroll();
  }

  /** The last words are revised; others follow. */
  revised(text) {
    const words = this.#user?.words;
    if (words?.textContent.endsWith(text)) words.textContent = words.textContent.slice(0, -text.length);
  }

  /** The user's turn as it was finally understood; nothing understood leaves no line. */
  turnEnded(text) {
    if (!text) {
      this.#user?.item.remove();
      this.#user = null;
      return;
    }
    this.#user ??= this.#line("user", "You");
    this.#user.words.textContent = text;
  }

  replyStarted(responseMs) {
    this.#last = this.#user;
    this.#user = null;
    this.#agent = this.#line("agent", "Agent");
    this.#agent.time.textContent = `after ${(responseMs / 1000).toFixed(2)} s`;
    this.#spoken = this.#written = "";
  }

  /** Words that are written and not spoken yet. */
  written(text) {
    this.#written += text;
    this.#showReply();
  }

  /** Words that are being spoken now. */
  spoken(text) {
    this.#spoken += text;
    this.#showReply();
  }

  /**
   * The reply is over; what was not heard of it is crossed out. A reply of which nothing was
   * heard never happened: the user goes on with the same turn.
   */
  replyDone(status, heardText) {
    if (!this.#agent) return;
    const cut = status !== "completed";
    if (cut && !heardText) {
      this.#agent.item.remove();
      this.#user = this.#last;
      this.#agent = null;
      return;
    }
    const said = cut ? heardText : this.#spoken + this.#rest(this.#spoken);
    this.#agent.words.textContent = said;
    this.#agent.ahead.textContent = cut ? this.#rest(heardText) : "";
    this.#agent.ahead.className = "unheard";
    this.#agent = null;
  }

  /** A remark in the middle of the page. */
  note(text) {
    const item = document.createElement("li");
    item.className = "note";
    item.textContent = text;
    this.#append(item);
    this.#user = this.#agent = null;
  }

  #showReply() {
    if (!this.#agent) return;
    this.#agent.words.textContent = this.#spoken;
    this.#agent.ahead.textContent = this.#rest(this.#spoken);
    this.#scroll();
  }

  #rest(said) {
    const from = this.#written.indexOf(said.trim());
    return from < 0 ? "" : this.#written.slice(from + said.trim().length);
  }

  #line(kind, who) {
    const item = document.createElement("li");
    item.className = kind;
    const [name, time, words, ahead] = ["who", "time", "words", "ahead"].map((part) => {
      const span = document.createElement("span");
      span.className = part;
      return span;
    });
    name.textContent = who;
    name.append(time);
    item.append(name, words, ahead);
    this.#append(item);
    return { item, time, words, ahead };
  }

  #append(item) {
    this.empty.hidden = true;
    this.list.append(item);
    this.#scroll();
  }

  /** Follow somebody who is at the end, not somebody who reads further up. */
  #scroll() {
    const box = this.list.parentElement;
    const last = this.list.lastElementChild;
    const below =
      box.scrollHeight > box.clientHeight
        ? box.scrollHeight - box.clientHeight - box.scrollTop
        : last.getBoundingClientRect().bottom - innerHeight;
    if (below > 0 && below < 200) last.scrollIntoView({ block: "end" });
  }
}
