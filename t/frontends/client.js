// SPDX-License-Identifier: Apache-2.0
// For all pages: calls of the API, whose base URL is the page's parameter `api`, and forms.

const base = new URLSearchParams(location.search).get('api');

// What differs between the front ends: `headers` returns those of each call, `explain` makes a sentence from the body
// of a refusal, `renew` gets a new token after 401 and returns whether to repeat the call.
const client = { headers: () => ({}), explain: (data) => data.detail, renew: async () => false };

export function configure(options) {
    Object.assign(client, options);
}

// An answer with a status of 400 or more.
export class Refusal extends Error {
    constructor(name, status, data) {
        super(`${name}: ${status}`);
        Object.assign(this, { status, data });
    }
}

// Wraps a decoded answer: reading a missing key throws an error that names the key and the call.
function checked(value, name) {
    if (value === null || typeof value !== 'object') return value;
    return new Proxy(value, {
        get(target, key) {
            if (key in target) return checked(target[key], name);
            if (typeof key === 'symbol' || key === 'then' || key === 'toJSON') return undefined; // read by await, JSON
            throw new Error(`${name}: no key "${key}" in ${JSON.stringify(target).slice(0, 300)}`);
        },
    });
}

async function decoded(response, name) {
    const text = await response.text();
    return text ? checked(JSON.parse(text), name) : null;
}

// Sends a request and returns the response; throws a Refusal. `body` may be URLSearchParams or FormData.
export async function request(method, path, { json, body, open = false } = {}) {
    const headers = open ? {} : client.headers();
    if (json !== undefined) headers['Content-Type'] = 'application/json';
    const content = json === undefined ? body : JSON.stringify(json);
    const response = await fetch(base + path, { method, headers, body: content });
    if (response.ok) return response;
    const data = await decoded(response, `${method} ${path}`);
    if (response.status === 401 && !open && await client.renew()) return request(method, path, { json, body });
    throw new Refusal(`${method} ${path}`, response.status, data);
}

// Sends a request and returns the decoded answer; null if it has no body. `open: true` is a call without a token.
export async function call(method, path, options) {
    return decoded(await request(method, path, options), `${method} ${path}`);
}

// ---- the page ----

export const element = (id) => document.getElementById(id);

let running = 0;

function busy(change) {
    running += change;
    document.body.setAttribute('aria-busy', running > 0);
}

// Runs the work of a click or a form, and shows the sentence of a refusal in #message. The page is busy meanwhile.
export async function run(work) {
    busy(1);
    element('message').textContent = '';
    try {
        await work();
    } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        element('message').textContent = client.explain(error.data);
    } finally {
        busy(-1);
    }
}

// When the form is submitted, calls `work` with its fields and with a FormData of them.
export function onSubmit(id, work) {
    element(id).addEventListener('submit', (event) => {
        event.preventDefault();
        const data = new FormData(event.target);
        run(() => work(Object.fromEntries(data), data));
    });
}

export function onClick(id, work) {
    element(id).addEventListener('click', () => run(work));
}

export function button(label, work) {
    const made = document.createElement('button');
    made.textContent = label;
    made.addEventListener('click', () => run(work));
    return made;
}

// Shows `items` in a list; `render` returns the contents of an entry: texts and elements.
export function list(id, items, render) {
    element(id).replaceChildren(...items.map((item) => {
        const entry = document.createElement('li');
        entry.append(...render(item));
        return entry;
    }));
}

// Shows one section of the page and hides the others.
export function section(id) {
    for (const each of document.querySelectorAll('main > section')) each.hidden = each.id !== id;
}
