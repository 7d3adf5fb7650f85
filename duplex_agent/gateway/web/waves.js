// Two scrolling waveforms over the same eight seconds, tinted by who has the floor.

const SECONDS = 8;
const STEP = 3; // CSS pixels from bar to bar
const BAR = 2;

class Lane {
  constructor(canvas, colour, tint, tintedFloors) {
    this.canvas = canvas;
    this.colour = colour;
    this.tint = tint;
    this.tintedFloors = tintedFloors;
    this.bars = []; // the newest last
    this.analyser = null;
    this.samples = new Float32Array(2048);
  }

  level() {
    if (!this.analyser) return 0;
    this.analyser.getFloatTimeDomainData(this.samples);
    let peak = 0;
    for (const sample of this.samples) peak = Math.max(peak, Math.abs(sample));
    return peak;
  }

  draw() {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const style = getComputedStyle(canvas);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const middle = height * 0.56;
    const tint = style.getPropertyValue(this.tint);
    const colour = style.getPropertyValue(this.colour);
    pen.fillStyle = style.getPropertyValue("--line");
    pen.fillRect(0, middle - 0.5, Math.max(0, width - this.bars.length * STEP), 1);
    this.bars.forEach((bar, index) => {
      const x = width - (this.bars.length - index) * STEP;
      if (this.tintedFloors.includes(bar.floor)) {
        pen.fillStyle = tint;
        pen.fillRect(x, 0, STEP, height);
      }
      // A square root shows quiet speech; a silent microphone stays a thin line.
      const half = Math.max(0.75, Math.sqrt(bar.level) * height * 0.4);
      pen.fillStyle = colour;
      pen.globalAlpha = bar.level > 0.004 ? 1 : 0.35;
      pen.fillRect(x, middle - half, BAR, 2 * half);
      pen.globalAlpha = 1;
    });
  }
}

export class Waves {
  #context = null;
  #frame = 0;
  #drawn = 0;
  floor = "idle";

  constructor(userCanvas, agentCanvas) {
    this.user = new Lane(userCanvas, "--user", "--user-tint", ["listening", "yielding"]);
    this.agent = new Lane(agentCanvas, "--agent", "--agent-tint", ["replying"]);
    window.addEventListener("resize", () => this.#draw());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    this.#draw();
  }

  /** Begin to show both streams. Nothing is connected to the speakers: the audio element plays. */
  start(microphone, remote) {
    this.stop();
    this.#context = new AudioContext();
    this.#context.resume();
    this.user.analyser = this.#tap(microphone);
    this.agent.analyser = this.#tap(remote);
    this.#drawn = performance.now();
    this.#frame = requestAnimationFrame((now) => this.#step(now));
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#context?.close();
    this.#context = this.user.analyser = this.agent.analyser = null;
    this.floor = "idle";
  }

  #tap(stream) {
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 2048;
    this.#context.createMediaStreamSource(stream).connect(analyser);
    return analyser;
  }

  #step(now) {
    const count = Math.max(1, Math.floor(this.user.canvas.clientWidth / STEP));
    const every = (SECONDS * 1000) / count;
    const due = Math.min(Math.floor((now - this.#drawn) / every), count);
    if (due > 0) {
      for (const lane of [this.user, this.agent]) {
        const level = Math.min(1, lane.level());
        for (let i = 0; i < due; i++) lane.bars.push({ level, floor: this.floor });
        lane.bars.splice(0, Math.max(0, lane.bars.length - count - 1));
      }
      this.#drawn += due * every;
      this.#draw();
    }
    this.#frame = requestAnimationFrame((next) => this.#step(next));
  }

  #draw() {
    this.user.draw();
    this.agent.draw();
  }
}
