"""What is measured in a page, in the page's own language."""

# Texts too weak against what they stand on (WCAG 2.2, 1.4.3; for a control without words
# 1.4.11): [words, ratio, needed]. Gradients are not looked through: a cover's cloth is named by
# its --cloth, a reply's lines beside the text do not count; any other is reported as unknown.
CONTRAST = """() => {
  const parse = (text) => {
    const found = text.match(/^rgba?\\(([^)]+)\\)$/);
    if (!found) throw new Error(`not an rgb colour: ${text}`);
    const [r, g, b, a = 1] = found[1].split(/[,/ ]+/).filter(Boolean).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], [R, G, B, A]) => {
    const alpha = a + A * (1 - a);
    const mix = (top, under) => alpha && (top * a + under * A * (1 - a)) / alpha;
    return [mix(r, R), mix(g, G), mix(b, B), alpha];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const probe = document.body.appendChild(document.createElement("i"));
  const named = (value) => {
    probe.style.color = value;
    return parse(getComputedStyle(probe).color);
  };
  const ground = (part) => {
    let seen = [0, 0, 0, 0];
    for (let at = part; at && seen[3] < 1; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (at.matches(".cover")) seen = over(seen, named(style.getPropertyValue("--cloth")));
      else if (style.backgroundImage !== "none" && !at.matches(".post")) return null;
      seen = over(seen, parse(style.backgroundColor));
    }
    return over(seen, named("Canvas"));
  };
  const strength = (part) => {
    let value = 1;
    for (let at = part; at; at = at.parentElement) value *= getComputedStyle(at).opacity;
    return value;
  };
  const seen = (part) => {
    const box = part.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && getComputedStyle(part).clipPath === "none"
      && part.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const weak = new Map();
  const judge = (part, style, words, control) => {
    const under = ground(part);
    const name = `${part.localName}.${part.className}: ${words.trim().slice(0, 30)}`;
    if (!under) return weak.set(name, "unknown ground");
    const [r, g, b, a] = parse(style.color);
    const ink = over([r, g, b, a * strength(part)], under);
    const [high, low] = [light(ink), light(under)].sort((one, two) => two - one);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const needed = large || control ? 3 : 4.5;
    if (ratio < needed) weak.set(name, `${ratio.toFixed(2)} of ${needed}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const part = node.parentElement;
    if (node.data.trim() && seen(part)) judge(part, getComputedStyle(part), node.data, false);
  }
  for (const part of document.querySelectorAll("button, input, textarea")) {
    if (!seen(part)) continue;
    if (part.placeholder) judge(part, getComputedStyle(part, "::placeholder"), "placeholder", false);
    if (part.value) judge(part, getComputedStyle(part), part.value, false);
    if (part.localName === "button" && !part.innerText.trim())
      judge(part, getComputedStyle(part), part.ariaLabel ?? "", true);
  }
  probe.remove();
  return Object.fromEntries(weak);
}"""

# What takes the keyboard's focus without showing it. Tab was pressed before: then the focus that
# a script gives is visible where the keyboard's would be.
INVISIBLE_FOCUS = """() => {
  const stops = "a[href], button, input:not([type=hidden]), select, textarea, summary";
  return [...document.querySelectorAll(stops)].filter((part) => {
    if (!part.checkVisibility({ visibilityProperty: true })) return false;
    part.focus();
    if (document.activeElement !== part) return true;
    const style = getComputedStyle(part);
    const box = part.getBoundingClientRect();
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return !(outlined || style.boxShadow !== "none") || box.width < 2 || box.height < 2;
  }).map((part) => part.outerHTML.slice(0, 120));
}"""
