// The page's behaviour; without it curves, tables and coloured text are all there. Text of the run reaches the page through textContent only.
"use strict";

/** Walks a chart point by point with the pointer or the arrow keys and says the point under the cursor. */
function enlivenPlot(plot) {
  const points = JSON.parse(plot.querySelector(".points").textContent);
  const svg = plot.querySelector("svg");
  const cursor = plot.querySelector(".cursor");
  const readout = plot.querySelector(".readout");
  let current = points.length - 1;
  const show = (index) => {
    current = Math.max(0, Math.min(points.length - 1, index));
    const [x, y, step, value] = points[current];
    const [line, circle] = cursor.children;
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", y);
    cursor.removeAttribute("hidden");
    readout.textContent = `step ${step}: ${value}`;
  };
  const hide = () => {
    cursor.setAttribute("hidden", "");
    readout.textContent = "";
  };
  plot.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let nearest = 0;
    points.forEach((point, index) => {
      if (Math.abs(point[0] - x) < Math.abs(points[nearest][0] - x)) nearest = index;
    });
    show(nearest);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: points.length };
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(moves[event.key]);
  });
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A piece as people can see it: blanks and line breaks get signs. */
function visible(piece) {
  return piece.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
}

function inPercent(share) {
  if (share >= 0.9995) return "100 %";
  return share < 0.0005 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

function law(owner, title, candidates) {
  const column = element("div", `of-${owner}`);
  column.append(element("h4", "", title));
  for (const [piece, probability] of candidates) {
    const row = element("div", "law-row");
    const bar = element("span", "bar");
    bar.style.width = `${Math.max(1.5, 100 * probability)}%`;
    row.append(
      element("code", "", visible(piece)),
      bar,
      element("span", "", inPercent(probability)),
    );
    column.append(row);
  }
  return column;
}

const AUTHORS = {
  student: "written by the student, accepted",
  teacher: "written by the teacher",
  data: "taken from the data",
};

function fillCard(card, button, [author, rank, draft, teacherTop, studentTop]) {
  card.replaceChildren();
  const headline = element("p");
  headline.append(element("code", "", visible(button.textContent)), ` ${AUTHORS[author]}`);
  if (rank !== null)
    headline.append(rank === 0 ? " · the teacher’s favourite (rank 0)" : ` · rank ${rank}`);
  card.append(headline);
  if (draft !== null) {
    const line = element("p");
    line.append("replaces the student’s ", element("code", "", visible(draft)));
    card.append(line);
  }
  const laws = element("div", "laws");
  if (teacherTop.length > 0) laws.append(law("teacher", "Teacher", teacherTop));
  if (studentTop.length > 0) laws.append(law("student", "Student", studentTop));
  if (laws.childElementCount > 0) card.append(laws);
}

/** Below the token, or above it where the window ends; never outside the page. */
function placeCard(card, button) {
  card.hidden = false;
  const target = button.getBoundingClientRect();
  const width = card.offsetWidth;
  const height = card.offsetHeight;
  const right = document.documentElement.clientWidth - width - 16;
  const below = target.bottom + 8;
  const fits = below + height < window.innerHeight;
  card.style.left = `${window.scrollX + Math.max(8, Math.min(target.left - 12, right))}px`;
  card.style.top = `${window.scrollY + (fits ? below : Math.max(8, target.top - height - 8))}px`;
}

function enlivenTokens(source) {
  const details = JSON.parse(source.textContent);
  const card = document.getElementById("token-card");
  document.body.append(card);
  let shown;
  const hide = () => {
    shown?.removeAttribute("aria-describedby");
    shown = undefined;
    card.hidden = true;
  };
  const show = (button) => {
    hide();
    const { stage, sequence } = button.closest(".sequence").dataset;
    fillCard(card, button, details[stage][sequence][button.dataset.at]);
    button.setAttribute("aria-describedby", card.id);
    placeCard(card, button);
    shown = button;
  };
  const tokenOf = (event) => event.target.closest?.("button.token");
  document.addEventListener("pointerover", (event) => {
    const button = tokenOf(event);
    if (button) show(button);
    else if (shown !== document.activeElement) hide();
  });
  document.addEventListener("focusin", (event) => {
    const button = tokenOf(event);
    if (button) show(button);
    else hide();
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const button = tokenOf(event);
    if (!button) return;
    const tokens = [...button.parentElement.querySelectorAll("button.token")];
    const at = tokens.indexOf(button);
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tokens.length - 1 };
    const next = tokens[moves[event.key]];
    if (!next) return;
    event.preventDefault();
    // One stop per sequence in the tab order: the token visited last.
    button.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

document.querySelectorAll(".plot").forEach(enlivenPlot);
const tokenDetails = document.getElementById("token-details");
if (tokenDetails) enlivenTokens(tokenDetails);
