/* A sentence in, poses out, on the page pose.md. The numbers are those of lib/pose/plain.py and
   lib/pose/words.py, from the same two files of weights, which pose-model.js brings. */
"use strict";
(() => {
  const NOISE = 128, NUMBERS = 51, SLOPE = 0.2, REACH = 36, CENTRE = 32, EPSILON = 1e-5, CANVAS = 512;
  const SHOWN = 6, MILLISECONDS = 700;

  // ---- Files of tensors (safetensors): the length of a header, the header, then the numbers.

  function bytes(base64) {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  }

  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  function tensors(base64) {
    const raw = bytes(base64), view = new DataView(raw.buffer);
    const start = 8 + Number(view.getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(raw.subarray(8, start)));
    const found = {};
    for (const [name, about] of Object.entries(header)) {
      if (name === "__metadata__") continue;
      const part = raw.slice(start + about.data_offsets[0], start + about.data_offsets[1]).buffer;
      const read = {
        F16: () => Float64Array.from(new Uint16Array(part), half),
        F32: () => Float64Array.from(new Float32Array(part)),
        I8: () => new Int8Array(part),
        U8: () => new Uint8Array(part),
      }[about.dtype];
      found[name] = read ? read() : null;  // a count of minibatches is not needed
    }
    return found;
  }

  // ---- The generator: linear layers with their batch norm, as lib.pose.plain has them.

  function linear(x, layer) {
    return layer.bias.map((sum, row) => {
      for (let i = 0, at = row * x.length; i < x.length; i++, at++) sum += layer.weight[at] * x[i];
      return sum;
    });
  }

  function folded(weights, name) {
    const [mean, variance] = [weights[`${name}.1.running_mean`], weights[`${name}.1.running_var`]];
    const factor = weights[`${name}.1.weight`].map((w, i) => w / Math.sqrt(variance[i] + EPSILON));
    const raw = weights[`${name}.0.weight`], inputs = raw.length / factor.length;
    return {
      weight: raw.map((w, at) => w * factor[Math.floor(at / inputs)]),
      bias: weights[`${name}.0.bias`].map(
        (b, i) => (b - mean[i]) * factor[i] + weights[`${name}.1.bias`][i]),
    };
  }

  function generator(weights) {
    const hidden = [];
    while (`layers.${hidden.length}.0.weight` in weights) {
      hidden.push(folded(weights, `layers.${hidden.length}`));
    }
    const at = (name) => ({ weight: weights[`${name}.weight`], bias: weights[`${name}.bias`] });
    const [compress, last] = [at("compress.0"), at(`layers.${hidden.length}`)];
    return (z, h) => {
      const compressed = linear(h, compress).map((value) => Math.max(value, SLOPE * value));
      let x = Float64Array.of(...z, ...compressed);
      for (const layer of hidden) x = linear(x, layer).map((value) => Math.max(value, 0));
      const out = linear(x, last), pose = [];
      for (let i = 0; i < NUMBERS; i += 3) {
        const [a, b, seen] = [0, 1, 2].map((j) => out[i + j] + out[NUMBERS + i + j] * z[i + j]);
        pose.push([CENTRE + REACH * Math.tanh(a), CENTRE + REACH * Math.tanh(b), seen > 0 ? 1 : 0]);
      }
      return pose;  // 17 times x, y in heatmap pixels, and visibility
    };
  }

  // ---- Noise as torch draws it: a Mersenne twister, then Box and Muller, eight pairs at a time.

  function twister(seed) {
    const state = new Uint32Array(624);
    state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const before = state[i - 1] ^ (state[i - 1] >>> 30);
      state[i] = Math.imul(1812433253, before) + i;
    }
    let place = 624;
    return () => {
      if (place === 624) {
        for (let i = 0; i < 624; i++) {
          const mixed = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
          state[i] = state[(i + 397) % 624] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
        }
        place = 0;
      }
      let y = state[place++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    };
  }

  function noise(number, seed) {
    const next = twister(seed), rows = [];
    for (let row = 0; row < number; row++) {
      const z = new Float64Array(NOISE);
      for (let start = 0; start < NOISE; start += 16) {
        const uniform = Array.from({ length: 16 }, () => (next() & 0xffffff) / 2 ** 24);
        for (let i = 0; i < 8; i++) {
          const length = Math.sqrt(-2 * Math.log1p(-uniform[i])), angle = 2 * Math.PI * uniform[i + 8];
          z[start + i] = Math.fround(length * Math.cos(angle));
          z[start + i + 8] = Math.fround(length * Math.sin(angle));
        }
      }
      rows.push(z);
    }
    return rows;
  }

  // ---- Words.

  function distance(a, b) {  // Levenshtein's
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) {
        next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1])));
      }
      row = next;
    }
    return row[b.length];
  }

  function vocabulary(table, about) {
    const list = new TextDecoder().decode(table.words).split("\n");
    const places = new Map(list.map((word, place) => [word, place]));
    const length = table.vectors.length / list.length, marks = new Set(about.punctuation);
    const bare = (caption) => {
      const words = caption.toLowerCase().split(/\s+/).map((word) => {
        let [start, end] = [0, word.length];
        while (start < end && marks.has(word[start])) start++;
        while (end > start && marks.has(word[end - 1])) end--;
        return word.slice(start, end);
      });
      return words.filter(Boolean);
    };
    const near = (word) => {
      if (word.length < 4) return [];
      const close = list.filter((other) => Math.abs(other.length - word.length) < 3
        && distance(word, other) <= (word.length < 7 ? 1 : 2));
      return close.slice(0, 1);
    };
    return (caption) => {
      const words = bare(caption), rows = words.filter((word) => places.has(word));
      const unknown = [...new Set(words.filter((word) => !places.has(word)))];
      const meant = unknown.flatMap((word) => near(word).map((other) => `“${other}” for “${word}”`));
      const advice = meant.length ? ` Did you mean ${meant.join(", ")}?` : "";
      if (!words.length) return { error: "The caption has no words: say what the person does." };
      if (!rows.length) {
        return { error: `The model knows no word of “${caption.trim()}”.${advice} It knows the words `
          + "of captions of photographs, such as those of the examples." };
      }
      const h = new Float64Array(length), notes = [];
      for (const place of rows.map((word) => places.get(word))) {
        for (let i = 0; i < length; i++) {
          h[i] += table.vectors[place * length + i] * table.scales[place];
        }
      }
      const has = (names) => words.some((word) => names.includes(word));
      if (unknown.length) {
        notes.push(`Not known to the model, and left out: ${unknown.join(", ")}.${advice}`);
      }
      if (has(about.several)) {
        notes.push("The model draws one person: each pose is that of one of them.");
      } else if (has(about.animals) && !has(about.people)) {
        notes.push("The model draws people only: this is the pose of a person.");
      }
      return { h: h.map((sum) => about.scale * (sum / rows.length)), notes };
    };
  }

  // ---- Pictures and files.

  function element(name, attributes, ...children) {
    const svg = ["svg", "g", "line", "circle", "title", "metadata", "filter", "feGaussianBlur"].includes(name);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function onCanvas(pose) {
    return pose.map(([x, y, seen]) => (seen ? [8 * x, 8 * y, 1] : [0, 0, 0]));
  }

  function drawing(pose, about) {
    const points = onCanvas(pose), glow = element("g", { filter: "url(#pose-glow)", opacity: 0.9 });
    const filter = element("filter", { id: "pose-glow" }, element("feGaussianBlur", { stdDeviation: 10 }));
    const group = element("g", {}, filter, glow);
    for (const [i, [x, y, seen]] of points.entries()) {  // as of a heatmap
      if (seen) glow.append(element("circle", { cx: x, cy: y, r: 22, fill: about.colours[i] }));
    }
    for (const [a, b, colour] of about.edges) {
      if (!(points[a][2] && points[b][2])) continue;
      const [[x1, y1], [x2, y2]] = [points[a], points[b]];
      group.append(element("line", {
        x1, y1, x2, y2, stroke: colour, "stroke-width": 9, "stroke-linecap": "round",
      }));
    }
    for (const [i, [x, y, seen]] of points.entries()) {
      if (!seen) continue;
      const dot = element("circle", { cx: x, cy: y, r: 6, fill: about.colours[i] });
      dot.append(element("title", {}, about.names[i]));
      group.append(dot);
    }
    return group;
  }

  const round = (value) => Math.round(value * 100) / 100;

  function coco(pose, madeBy) {
    const keypoints = onCanvas(pose).flatMap(([x, y, seen]) => [round(x), round(y), 2 * seen]);
    return [{ image_id: 1, category_id: 1, keypoints, score: 1, made_by: madeBy }];
  }

  function openpose(pose, madeBy, about) {
    const points = onCanvas(pose), [left, right] = about.shoulders.map((i) => points[i]);
    const both = left[2] * right[2];
    const neck = [((left[0] + right[0]) / 2) * both, ((left[1] + right[1]) / 2) * both, both];
    const all = about.openpose.map((place) => (place === null ? neck : points[place]));
    return {
      people: [{ pose_keypoints_2d: all.flatMap(([x, y, seen]) => [round(x), round(y), seen]) }],
      canvas_width: CANVAS, canvas_height: CANVAS, made_by: madeBy,
    };
  }

  function svgText(pose, madeBy, about) {
    const root = element("svg", {
      viewBox: `0 0 ${CANVAS} ${CANVAS}`,
      width: CANVAS, height: CANVAS,
    }, element("title", {}, madeBy.caption), element("metadata", {}, JSON.stringify(madeBy)));
    root.append(drawing(pose, about));
    return new XMLSerializer().serializeToString(root);
  }

  function save(content, type, name) {
    const blob = content instanceof Blob ? content : new Blob([content], { type });
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function savePng(pose, madeBy, about, name) {
    const picture = new Image(), canvas = element("canvas", { width: CANVAS, height: CANVAS });
    picture.onload = () => {
      const pen = canvas.getContext("2d");
      pen.fillStyle = "black";
      pen.fillRect(0, 0, CANVAS, CANVAS);
      pen.drawImage(picture, 0, 0);
      canvas.toBlob((blob) => save(blob, "image/png", name));
    };
    picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(pose, madeBy, about))}`;
  }

  // ---- The page.

  function start(about) {
    const box = document.querySelector(".pose-try");
    const G = generator(tensors(about.generator)), encode = vocabulary(tensors(about.table), about);
    const [form, sheet] = [box.querySelector("form"), box.querySelector(".pose-sheet")];
    const status = box.querySelector(".pose-status"), still = matchMedia("(prefers-reduced-motion: reduce)");
    const cards = Array.from({ length: SHOWN }, (_, index) => card(index));
    let frame = 0;

    function card(index) {
      const keep = element("button", { type: "button", "aria-pressed": "false" }, "Keep");
      const figure = element("figure", { class: "pose-card" });
      const picture = element("svg", { viewBox: `0 0 ${CANVAS} ${CANVAS}`, role: "img" });
      const menu = element("details", {}, element("summary", {}, "Save"));
      const self = { figure, picture, index, kept: false };
      keep.addEventListener("click", () => {
        self.kept = !self.kept;
        keep.setAttribute("aria-pressed", self.kept);
        figure.classList.toggle("kept", self.kept);
      });
      const files = {
        "COCO keypoints (JSON)": (n) => save(JSON.stringify(coco(self.pose, self.madeBy)), "application/json", `${n}.json`),
        "OpenPose (JSON)": (n) => save(JSON.stringify(openpose(self.pose, self.madeBy, about)), "application/json", `${n}.openpose.json`),
        "Drawing (SVG)": (n) => save(svgText(self.pose, self.madeBy, about), "image/svg+xml", `${n}.svg`),
        "Picture (PNG)": (n) => savePng(self.pose, self.madeBy, about, `${n}.png`),
      };
      const list = element("div", {});
      for (const [label, write] of Object.entries(files)) {
        const button = element("button", { type: "button" }, label);
        button.addEventListener("click", () => {
          write(`pose-${self.madeBy.seed}-${index + 1}`);
          menu.open = false;
          menu.firstChild.focus();
        });
        list.append(button);
      }
      menu.append(list);
      menu.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !menu.open) return;
        menu.open = false;
        menu.firstChild.focus();
      });
      figure.append(picture, element("figcaption", {}, keep, menu));
      sheet.append(figure);
      return self;
    }

    function show(self, pose) {
      self.picture.replaceChildren(drawing(pose, about));
    }

    function settle(self) {
      self.pose = G(self.z, self.h);
      const seen = self.pose.filter((point) => point[2]).length;
      self.picture.setAttribute("aria-label",
        `Pose ${self.index + 1} for “${self.madeBy.caption}”, ${seen} of 17 keypoints visible`);
      show(self, self.pose);
    }

    // From the poses that are there to the new ones, through noises and captions in between.
    function move(moving) {
      cancelAnimationFrame(frame);
      const begun = performance.now(), between = (a, b, t) => a.map((value, i) => value + t * (b[i] - value));
      const from = moving.map((self) => ({ z: self.shown?.z ?? self.z, h: self.shown?.h ?? self.h }));
      moving.forEach(settle);
      const step = (now) => {
        const t = Math.min(1, Math.max(0, (now - begun) / MILLISECONDS)), eased = t * t * (3 - 2 * t);
        moving.forEach((self, i) => {
          self.shown = { z: between(from[i].z, self.z, eased), h: between(from[i].h, self.h, eased) };
          show(self, t < 1 ? G(self.shown.z, self.shown.h) : self.pose);
        });
        if (t < 1) frame = requestAnimationFrame(step);
      };
      if (still.matches || !moving.some((self) => self.shown)) {
        moving.forEach((self) => { self.shown = { z: self.z, h: self.h }; });
      } else {
        frame = requestAnimationFrame(step);
      }
    }

    function draw() {
      const caption = form.elements.caption.value, found = encode(caption);
      status.classList.toggle("refused", "error" in found);
      if (found.error) {
        status.textContent = found.error;
        return;
      }
      const seed = Math.min(2 ** 32 - 1, Math.max(0, Math.trunc(Number(form.elements.seed.value)) || 0));
      form.elements.seed.value = seed;
      const rows = noise(SHOWN, seed), moving = cards.filter((self) => !self.kept);
      for (const self of moving) {
        const made = { caption, ...about.identity, seed, number: SHOWN, pose: self.index + 1 };
        Object.assign(self, { z: rows[self.index], h: found.h, madeBy: made });
      }
      move(moving);
      const kept = SHOWN - moving.length;
      status.textContent = [`${moving.length} new poses${kept ? `, ${kept} kept` : ""}.`, ...found.notes].join(" ");
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      draw();
    });
    form.querySelector("[data-do=another]").addEventListener("click", () => {
      form.elements.seed.value = (Number(form.elements.seed.value) + 1) % 2 ** 32;
      draw();
    });
    for (const sentence of about.examples) {
      const button = element("button", { type: "button" }, sentence);
      button.addEventListener("click", () => {
        form.elements.caption.value = sentence;
        draw();
      });
      box.querySelector(".pose-examples").append(button);
    }
    const asked = new URLSearchParams(location.search).get("caption");  // on the first page
    if (asked) form.elements.caption.value = asked;
    box.classList.add("ready");
    draw();
    window.poses = () => cards.map(({ pose, madeBy }) => ({ pose, madeBy }));  // for tests, and the curious
  }

  window.poseModel = start;
})();
