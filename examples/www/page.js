'use strict';

// ---- what is asked, and what has to come ----

const FILE = 'lines.txt';
let whole;

const CHECKS = [
  ['the whole file', 'GET', async () => {
    const answer = await fetch(FILE, { cache: 'no-store' });
    whole = { text: await answer.text(), tag: answer.headers.get('ETag'), date: answer.headers.get('Last-Modified') };
    expect(answer.status === 200 && whole.text.length === Number(answer.headers.get('Content-Length')) && whole.tag && whole.date);
    return `200, ${whole.text.length} bytes`;
  }],
  ['bytes 100 to 199 of it', 'Range', async () => {
    const answer = await fetch(FILE, { cache: 'no-store', headers: { Range: 'bytes=100-199' } });
    expect(answer.status === 206 && await answer.text() === whole.text.slice(100, 200));
    return answer.headers.get('Content-Range');
  }],
  ['the last ten bytes', 'Range', async () => {
    const answer = await fetch(FILE, { cache: 'no-store', headers: { Range: 'bytes=-10' } });
    expect(answer.status === 206 && await answer.text() === whole.text.slice(-10));
    return answer.headers.get('Content-Range');
  }],
  ['the file, if it has changed', 'If-None-Match', async () => {
    const answer = await fetch(FILE, { cache: 'no-store', headers: { 'If-None-Match': whole.tag } });
    expect(answer.status === 304);
    return '304';
  }],
  ['the head alone', 'HEAD', async () => {
    const answer = await fetch(FILE, { method: 'HEAD', cache: 'no-store' });
    expect(answer.status === 200 && answer.headers.get('Content-Length') === String(whole.text.length) && await answer.text() === '');
    return answer.headers.get('Content-Type');
  }],
  ['a file that is not there', 'GET', async () => {
    const answer = await fetch('nothing.txt', { cache: 'no-store' });
    expect(answer.status === 404);
    return '404';
  }],
  ['something it does not do', 'DELETE', async () => {
    const answer = await fetch(FILE, { method: 'DELETE' });
    expect(answer.status === 405);
    return `405, allowed: ${answer.headers.get('Allow')}`;
  }],
];

function expect(condition) {
  if (!condition) throw new Error('that is not what was to come');
}

async function check() {
  const list = document.getElementById('checks'), verdict = document.getElementById('verdict');
  let good = 0;
  for (const [what, how, ask] of CHECKS) {
    const item = list.appendChild(document.createElement('li'));
    const name = item.appendChild(document.createElement('span'));
    const said = item.appendChild(document.createElement('code'));
    name.textContent = what;
    said.textContent = how;
    try {
      said.textContent = await ask();
      item.className = 'good';
      good++;
    } catch (error) {
      item.className = 'bad';
      said.textContent = error.message;
    }
  }
  verdict.className = good === CHECKS.length ? 'good' : 'bad';
  verdict.textContent = `${good} of ${CHECKS.length} answers are as RFC 9110 says.`;
}

// ---- many at once ----

const MANY = 200;

async function load() {
  const bars = document.getElementById('bars'), again = document.getElementById('again');
  again.disabled = true;
  bars.replaceChildren(...Array.from({ length: MANY }, () => document.createElement('span')));
  const started = performance.now();
  const took = await Promise.all(Array.from({ length: MANY }, async (_, number) => {
    const answer = await fetch(`knot.svg?${number}`, { cache: 'no-store' });
    await answer.arrayBuffer();
    return answer.ok ? performance.now() - started : NaN;
  }));
  const seconds = (performance.now() - started) / 1000, answered = took.filter((ms) => ms > 0).sort((a, b) => a - b);
  const longest = answered[answered.length - 1];
  took.forEach((ms, number) => { bars.children[number].style.height = `${100 * ms / longest}%`; });
  document.getElementById('count').textContent = answered.length;
  document.getElementById('median').textContent = answered[answered.length >> 1].toFixed(1);
  document.getElementById('rate').textContent = Math.round(answered.length / seconds);
  again.disabled = false;
}

// ---- the rope ----

function swing() {
  const canvas = document.getElementById('rope'), context = canvas.getContext('2d');
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

  // A point of the rope: from the hand up to the knot, then once round the loop, which is a circle seen from the side.
  function point(at, time, width, height) {
    const hand = { x: width * 0.60, y: height * 1.08 }, radius = Math.min(width * 0.16, 180), tilt = 0.36 + 0.06 * Math.sin(time * 1.3);
    const middle = { x: width * 0.79 + 14 * Math.sin(time * 0.9), y: height * 0.36 + 8 * Math.sin(time * 1.7) };
    const turn = time * 2.1, knot = { x: middle.x + radius * Math.cos(turn), y: middle.y + radius * tilt * Math.sin(turn) };
    if (at > 0.36) {
      const angle = turn + (at - 0.36) / 0.64 * 2 * Math.PI, wave = 5 * Math.sin(3 * angle + time * 2);
      return { x: middle.x + (radius + wave) * Math.cos(angle), y: middle.y + (radius + wave) * tilt * Math.sin(angle), near: Math.sin(angle) };
    }
    const t = at / 0.36, bend = { x: (hand.x + knot.x) / 2 - 70 * Math.sin(turn), y: (hand.y + knot.y) / 2 + 60 };
    const mix = (a, b, c) => (1 - t) * (1 - t) * a + 2 * t * (1 - t) * b + t * t * c;
    return { x: mix(hand.x, bend.x, knot.x), y: mix(hand.y, bend.y, knot.y), near: 0.4 };
  }

  function draw(milliseconds) {
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight, time = milliseconds / 1000;
    if (canvas.width !== width * ratio || canvas.height !== height * ratio) Object.assign(canvas, { width: width * ratio, height: height * ratio });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.globalAlpha = width < 780 ? 0.25 : 1;
    const points = Array.from({ length: 421 }, (_, index) => point(index / 420, time, width, height));
    const pieces = points.slice(1).map((to, index) => ({ from: points[index], to, index })).sort((a, b) => a.to.near - b.to.near);
    for (const { from, to, index } of pieces) {
      const thick = 6.5 + 3 * to.near, strand = index % 6;
      context.lineCap = 'round';
      context.strokeStyle = '#6e4418';
      context.lineWidth = thick + 3;
      context.beginPath(), context.moveTo(from.x, from.y), context.lineTo(to.x, to.y), context.stroke();
      context.strokeStyle = `hsl(${33 + strand}, 58%, ${46 + 4 * strand + 6 * to.near}%)`;
      context.lineWidth = thick;
      context.beginPath(), context.moveTo(from.x, from.y), context.lineTo(to.x, to.y), context.stroke();
    }
    if (!still) requestAnimationFrame(draw);
  }
  requestAnimationFrame(draw);
}

swing();
check().then(load);
document.getElementById('again').addEventListener('click', load);
