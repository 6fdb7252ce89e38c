// Brings figures alive: curves or poses take the place of an image. What they show comes from
// lib/live.py, in scripts of the page. Where anything fails, the image remains.
(() => {
  "use strict";
  const library = new URL("plotly.min.js", document.currentScript.src);

  // Makers of elements; a child that is a string stays text, whatever it contains.
  const maker = (space) => (name, attributes = {}, ...children) => {
    const element = document.createElementNS(`http://www.w3.org/${space}`, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const html = maker("1999/xhtml");
  const svg = maker("2000/svg");

  // Gaussians with a deviation of 2 pixels, one for each colour, brighter where they are higher.
  const gaussian = (id, colour) => {
    const stop = (r) => ({
      offset: r / 6, "stop-color": colour, "stop-opacity": Math.exp((-r * r) / 8).toFixed(3),
    });
    const stops = [0, 1, 2, 3, 4, 5, 6].map((r) => svg("stop", stop(r)));
    return svg("radialGradient", { id }, ...stops);
  };

  // Keypoints [x, y, x, y, ...] in pixels of a heatmap, -1 where there is none, with their skeleton.
  function drawPose(points, place, { colours, edges }, what) {
    const exists = (i) => points[2 * i] >= 0;
    const seen = [...colours.keys()].filter(exists);
    const label = `${what}. ${seen.length} of ${colours.length} keypoints.`;
    const spots = seen.map((i) =>
      svg("circle", { cx: points[2 * i], cy: points[2 * i + 1], r: 6, fill: `url(#${place}-${i})` }));
    const lines = edges.filter(([a, b]) => exists(a) && exists(b)).map(([a, b, stroke]) =>
      svg("line", {
        x1: points[2 * a], y1: points[2 * a + 1], x2: points[2 * b], y2: points[2 * b + 1], stroke,
      }));
    const ground = svg("rect", { x: -0.5, y: -0.5, width: 64, height: 64 });
    const look = { viewBox: "-0.5 -0.5 64 64", role: "img", "aria-label": label };
    return svg("svg", look, ground, ...spots, ...lines);
  }

  function showPoses(box, { place, choices, skeleton }) {
    const gradients = skeleton.colours.map((colour, i) => gaussian(`${place}-${i}`, colour));
    const select = html("select", {}, ...choices.map((c, i) => html("option", { value: i }, c.name)));
    const last = choices[0].frames.length - 1;
    const slider = html("input", { type: "range", min: 0, max: last, value: 0 });
    const [left, right] = [html("span"), html("span")];
    const poses = html("div", { class: "live-poses" });
    const caption = html("p", { class: "live-caption" });
    const said = html("span", { class: "live-said", "aria-live": "polite" });

    function update() {
      const { name, ends, real, frames } = choices[select.value];
      const percent = Math.round((100 * slider.value) / last);
      const where = ends ? `${percent}% of the way from “${ends[0]}” to “${ends[1]}”` : `“${name}”`;
      const synthesised = frames[slider.value];
      const drawn = synthesised.map((points, i) =>
        [points, "synthesised", `Synthesised pose ${i + 1} of ${synthesised.length}, ${where}`]);
      if (real) drawn.unshift([real, "real", `Real pose, ${where}`]);
      poses.replaceChildren(...drawn.map(([points, kind, what]) =>
        html("div", {}, drawPose(points, place, skeleton, what), real ? kind : "")));
      if (ends) {
        [left.textContent, right.textContent] = ends;
        slider.setAttribute("aria-valuetext", where);
      } else {
        caption.textContent = where;
        said.textContent = `${drawn.length} poses of ${where}`;
      }
    }

    box.append(svg("svg", { class: "live-colours", "aria-hidden": true }, ...gradients));
    if (choices.length > 1) {
      box.append(html("label", {}, choices[0].ends ? "Captions" : "Caption", select));
    }
    if (last) {
      const scale = html("span", { class: "live-ends" }, left, right);
      box.append(html("label", {}, "From one to the other", slider, scale));
    } else box.append(caption, said);
    box.append(poses);
    box.addEventListener("input", update);
    update();
  }

  let loading;
  const load = () => (loading ??= new Promise((done, failed) => {
    const script = html("script", { src: library });
    [script.onload, script.onerror] = [() => done(window.Plotly), failed];
    document.head.append(script);
  }));

  async function showCurves(box, { plot: { data, layout }, notes }, alt) {
    const Plotly = await load();
    const said = html("span", { class: "live-said", "aria-live": "polite" });
    const touch = matchMedia("(pointer: coarse)").matches; // where dragging scrolls the page
    const hint = touch ? "Tap to read values; buttons zoom." : "Drag to zoom in, double-click to see all.";
    const keys = `${hint} Keys: ← → read values, + − zoom, 0 back.`;
    const help = { class: "live-curves", tabindex: 0, role: "group", "aria-label": `${alt} ${keys}` };
    const plot = html("div", help);
    box.append(plot, said, ...[...notes, keys].map((note) => html("p", {}, note)));

    const buttons = [["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]];
    const bar = { displaylogo: false, displayModeBar: touch || "hover", modeBarButtons: buttons };
    layout.font.family = getComputedStyle(box).fontFamily;
    await Plotly.newPlot(plot, data, { ...layout, dragmode: touch ? false : "zoom" },
      { responsive: true, ...bar });

    const paint = () => {
      const { color, backgroundColor } = getComputedStyle(box);
      Plotly.relayout(plot, {
        "font.color": color, paper_bgcolor: backgroundColor,
        "hoverlabel.font.color": color, "hoverlabel.bgcolor": backgroundColor,
        "modebar.color": color, "modebar.activecolor": color, "modebar.bgcolor": backgroundColor,
      });
    };
    paint();
    new MutationObserver(paint)
      .observe(document.documentElement, { attributeFilter: ["data-theme"] });

    // What is read by key is also said; plotly draws it with a delay.
    const say = () => {
      const lines = [...plot.querySelectorAll(".hoverlayer text")].map((line) => line.textContent);
      said.textContent = lines.join("; ");
    };

    const [first, last] = layout.xaxis.range;
    const whole = { "xaxis.range": [first, last] };
    for (const axis of ["yaxis", "yaxis2"]) whole[`${axis}.range`] = [...layout[axis].range];
    const bytes = Uint8Array.from(atob(data[0].x.bdata), (letter) => letter.charCodeAt(0));
    const epochs = new Float32Array(bytes.buffer);
    let at = first;
    plot.addEventListener("keydown", (event) => {
      const [low, high] = plot.layout.xaxis.range;
      // To the next point of D's training, a fiftieth of the width away or more.
      const read = (way) => {
        const far = Math.min(Math.max(at, low), high) + (way * (high - low)) / 50;
        const next = way > 0 ? epochs.find((x) => x >= far) : epochs.findLast((x) => x <= far);
        if (!(low <= next && next <= high)) return;
        at = next;
        Plotly.Fx.hover(plot, { xval: at }, ["xy", "xy2"]);
        setTimeout(say, 100);
      };
      const zoom = (factor) => {
        const middle = Math.min(Math.max(at, low), high);
        const range = [middle - factor * (middle - low), middle + factor * (high - middle)];
        Plotly.relayout(plot, { "xaxis.range": [Math.max(first, range[0]), Math.min(last, range[1])] });
      };
      const act = {
        ArrowLeft: () => read(-1), ArrowRight: () => read(1),
        "+": () => zoom(0.5), "-": () => zoom(2), 0: () => Plotly.relayout(plot, whole),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }

  async function comeAlive(content) {
    const image = document.getElementById(content.place)?.querySelector("img");
    if (!image) return;
    const box = html("div", { class: "live" });
    try {
      if (content.plot) await load(); // the image is seen meanwhile
      image.after(box);
      image.hidden = true;
      await (content.plot ? showCurves : showPoses)(box, content, image.alt);
    } catch (error) {
      box.remove();
      image.hidden = false;
      console.error(`${content.place} stays an image:`, error);
    }
  }

  document.addEventListener("DOMContentLoaded", () => (window.liveFigures ?? []).forEach(comeAlive));
})();
