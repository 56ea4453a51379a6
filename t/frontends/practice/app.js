// SPDX-License-Identifier: Apache-2.0
import { button, call, configure, element, list, onClick, onSubmit, request, run, section } from '../client.js';
import { Scene } from './scene.js';

const saveInterval = 300; // milliseconds
const stored = (name) => localStorage.getItem(name);

configure({
    headers: () => ({ Authorization: `Bearer ${stored('access_token')}` }),
    explain: (data) => String(data.detail), // front ends of this kind print `detail` as it is
    async renew() {
        const json = { refresh_token: stored('refresh_token') };
        const { access_token } = await call('POST', '/users/refresh', { json, open: true });
        localStorage.setItem('access_token', access_token);
        return true;
    },
});

// ---- sign-up, log-in, lists ----

onSubmit('signup', async (fields) => {
    const { message, user } = await call('POST', '/users/signup', { json: fields, open: true });
    element('message').textContent = `${message}: ${user.first_name} ${user.last_name}`;
});

onSubmit('login', async (fields) => {
    const body = new URLSearchParams(fields);
    const { access_token, refresh_token, user } = await call('POST', '/users/login', { body, open: true });
    for (const [name, value] of Object.entries({ access_token, refresh_token, user_id: user.id })) {
        localStorage.setItem(name, value);
    }
    await showHome();
});

async function showHome() {
    section('home');
    const me = await call('GET', '/users/me');
    element('welcome').textContent = `Logged in as ${me.first_name} ${me.last_name}, ${me.email}`;
    await showProblems('/problems/?skip=0&limit=100');
    const { total, submissions } = await call('GET', '/submissions/user/my-submissions');
    list('mine', submissions.slice(0, total), (each) => [`${each.status}, score ${each.score}, ${each.submitted_at}`]);
}

async function showProblems(path) {
    const { problems } = await call('GET', path);
    list('problems', problems, (each) => [`${each.title} (${each.difficulty}, ${each.categories.join(', ')})`,
        button('Open', () => { location.hash = each.id; })]);
}

onSubmit('filter', (fields) => {
    const given = Object.entries(fields).filter(([, value]) => value);
    return showProblems(`/problems/?${new URLSearchParams([['skip', 0], ['limit', 50], ...given])}`);
});

// ---- the practice page ----

let problem; // the id of the open problem
let session; // its session; null before the start
let unsaved = false;
let begun; // when the page was opened, in milliseconds

const scene = new Scene(element('canvas'), () => {
    unsaved = true;
    element('saved').textContent = 'not saved';
});

const seconds = () => Math.round((Date.now() - begun) / 1000);

async function showPractice() {
    section('practice');
    begun = Date.now();
    const { title, requirements, id } = await call('GET', `/problems/${problem}`);
    element('title').textContent = title;
    list('requirements', requirements, (each) => [each]);
    showSession(await call('GET', `/sessions/problem/${id}`));
    if (session) {
        scene.restore(session.diagram_data);
        element('saved').textContent = `restored, ${scene.elements.length} elements`;
    }
}

function showSession(now) {
    session = now;
    element('status').textContent = now ? `${now.status}, ${now.chat_messages.length} messages` : 'none';
}

// One save at a time; changes that were made meanwhile are saved by the next one.
async function save() {
    unsaved = false;
    const json = { diagram_data: scene.data(), time_spent: seconds() };
    const { diagram_hash, last_saved_at } = await call('PUT', `/sessions/${session.id}/autosave`, { json });
    if (!unsaved) element('saved').textContent = `saved ${last_saved_at}, ${diagram_hash}`;
}

async function saveForever() {
    if (session && unsaved) await run(save);
    setTimeout(saveForever, saveInterval);
}

onClick('start', async () => showSession(await call('POST', '/sessions/', { json: { problem_id: problem } })));
onClick('pause', async () => showSession(
    await call('PUT', `/sessions/${session.id}/pause`, { json: { time_spent: seconds() } })));
onClick('resume', async () => showSession(await call('PUT', `/sessions/${session.id}/resume`)));
onClick('leave', () => { location.hash = ''; });
onSubmit('box', async ({ label }) => scene.addBox(label));

// ---- evaluation ----

// Shows what an evaluation found; its lists are plain sentences.
function showFeedback({ implemented, missing, next_steps }, more) {
    list('feedback', [...implemented.map((each) => `Done: ${each}`), ...missing.map((each) => `Missing: ${each}`),
        ...next_steps.map((each) => `Next: ${each}`), ...more], (each) => [each]);
}

onClick('check', async () => {
    await save();
    const { feedback, cached, timestamp } = await call('POST', `/sessions/${session.id}/check`, { json: {} });
    showFeedback(feedback, [`${cached ? 'Known' : 'New'} evaluation of ${timestamp}`]);
});

onClick('submit', async () => {
    await save();
    const result = await call('POST', `/sessions/${session.id}/submit`, { json: {} });
    const { submission_id, session_id, problem_id, score, max_score, breakdown, feedback, tips, resources } = result;
    showFeedback(feedback, [...tips.map((each) => `Tip: ${each}`),
        ...[...resources.videos, ...resources.docs].map(({ title, url }) => `${title}: ${url}`)]);
    const same = session_id === session.id && problem_id === problem;
    element('message').textContent = `Submitted${same ? '' : ' something else'}: ${score} of ${max_score}, `
        + `${Object.keys(breakdown).length} parts, ${submission_id}, ${result.timestamp}`;
    showSession(null);
});

onClick('earlier', async () => {
    const earlier = await call('GET', `/sessions/problem/${problem}/submissions`);
    list('submissions', earlier, (each) => [`${each.submission_id} of session ${each.session_id}: ${each.score} of `
        + `${each.max_score}, ${each.submitted_at}, ${each.time_spent} seconds`,
        button('Load', async () => scene.restore(each.diagram_data))]);
});

// ---- questions ----

// The answer is a stream of lines; those that begin with "data: " have the text.
onSubmit('question', async ({ message }) => {
    const json = { message, diagram_data: { elements: scene.elements } };
    const response = await request('POST', `/sessions/${session.id}/ai-chat`, { json });
    if (!response.headers.get('content-type').startsWith('text/event-stream')) throw new Error('not an event stream');
    const answer = document.createElement('li');
    element('chat').append(Object.assign(document.createElement('li'), { textContent: message }), answer);
    let rest = '';
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const lines = (rest + decoder.decode(part.value, { stream: true })).split('\n');
        rest = lines.pop();
        for (const line of lines) if (line.startsWith('data: ')) answer.textContent += line.slice(6);
    }
});

// ---- where the page is ----

async function show() {
    problem = location.hash.slice(1);
    if (!stored('access_token')) section('entry');
    else await (problem ? showPractice() : showHome());
}

addEventListener('hashchange', () => run(show));
run(show);
saveForever();
