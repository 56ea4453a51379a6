// SPDX-License-Identifier: Apache-2.0
// The page /docs: shows /openapi.json with Swagger UI, and adds the log-in. The token is kept in this page only: it is
// gone when the page is left.

const { base } = document.body.dataset; // the path of LearnHubPublicURL, and LearnHubPrefix
let token = '';

// ---- elements ----

// element('p', { class: 'x' }, 'text', child)
function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
}

function input(label, attributes) {
    return element('label', {}, `${label} `, element('input', { required: '', ...attributes }));
}

// ---- the log-in ----

const status = element('p', { role: 'status', id: 'status' });
const form = element('form', { id: 'login', 'aria-label': 'Log in' },
    input('E-mail', { name: 'username', autocomplete: 'username' }),
    input('Password', { name: 'password', type: 'password', autocomplete: 'current-password' }),
    element('button', {}, 'Log in'));
const leave = element('button', { type: 'button', id: 'logout', hidden: '' }, 'Log out');

// The sentence of an error response.
function sentence(data) {
    const { detail } = data;
    return Array.isArray(detail) ? detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join(' ') : detail;
}

function show(text, loggedIn) {
    form.hidden = loggedIn;
    leave.hidden = !loggedIn;
    status.textContent = text;
}

async function logIn(event) {
    event.preventDefault();
    const fields = new FormData(form);
    try {
        const response = await fetch(`${base}/users/login`, { method: 'POST', body: new URLSearchParams(fields) });
        const data = await response.json();
        if (!response.ok) {
            show(sentence(data), false);
            return;
        }
        token = data.access_token;
        form.reset();
        show(`Logged in as ${fields.get('username')}: all requests of this page carry the token.`, true);
        leave.focus();
    } catch (error) {
        show(`The server could not be reached: ${error.message}`, false);
    }
}

function logOut() {
    const headers = { Authorization: `Bearer ${token}` };
    const request = fetch(`${base}/auth/token/logout/`, { method: 'POST', headers });
    request.then((response) => response.text()).catch(() => {}); // whatever the answer, the token is forgotten
    token = '';
    show('Logged out.', false);
    form.elements.username.focus();
}

form.addEventListener('submit', logIn);
leave.addEventListener('click', logOut);

// ---- colours ----

const dark = matchMedia('(prefers-color-scheme: dark)');
const recolour = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', recolour);
recolour();

// ---- names and levels for screen readers and keyboards, which Swagger UI lacks ----

const named = (name) => () => name;
const sectionOf = (element) => element.closest('.opblock-tag').dataset.tag;
const pathOf = (element) => element.closest('.opblock').querySelector('.opblock-summary-control').textContent;

// [selector, attribute, its value for such an element]
const attributes = [
    ['.information-container', 'role', named('region')],
    ['.information-container', 'aria-label', named('About')],
    ['.opblock-tag', 'aria-level', named('2')],
    ['.opblock h4', 'aria-level', named('3')],
    ['.opblock h5', 'aria-level', named('4')],
    ['.opblock-tag .expand-operation', 'aria-label', (button) => `Operations: ${sectionOf(button)}`],
    ['.opblock [role=region]', 'aria-label', (region) => `Responses: ${pathOf(region)}`],
    ['pre.microlight', 'tabindex', named('0')],
    ['.body-param__text', 'aria-label', named('Request body')],
    ['.parameters-col_description :is(input, select, textarea)', 'aria-label',
        (field) => field.closest('tr')?.dataset.paramName ?? 'Value'],
    ['.opblock-section-request-body .content-type', 'aria-label', named('Media type of the request body')],
    ['.responses-inner .content-type', 'aria-label', named('Media type of the response')],
    ['.json-schema-2020-12-accordion', 'aria-label', (button) => button.textContent.trim() || 'Schema'],
    ['.examples-select-element', 'aria-label', named('Example')],
];

function complete(root) {
    for (const [selector, attribute, value] of attributes) {
        for (const found of root.querySelectorAll(`${selector}:not([${attribute}])`)) {
            found.setAttribute(attribute, value(found));
        }
    }
}

// ---- Swagger UI ----

// The value of the description at a path of keys, with what its $refs name in their place. Swagger UI would process the
// whole description for each operation that is opened, which takes seconds.
function resolved(description, value, open = []) {
    if (value === null || typeof value !== 'object') return value;
    if (Array.isArray(value)) return value.map((entry) => resolved(description, entry, open));
    const { $ref: name, ...members } = value;
    if (open.includes(name)) return {};
    if (typeof name === 'string') {
        const target = name.split('/').slice(1).reduce((place, key) => place[key], description);
        return resolved(description, { ...target, ...members }, [...open, name]);
    }
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, resolved(description, entry, open)]));
}

async function resolveSubtree(description, path) {
    return { errors: [], spec: resolved(description, path.reduce((place, key) => place?.[key], description)) };
}

// Replaces parts of Swagger UI: its own log-in and choice of servers are not needed; a link inside of a button cannot
// be used by keyboard.
function parts({ React }) {
    const nothing = () => () => null;
    return {
        fn: { resolveSubtree },
        wrapComponents: {
            authorizeBtn: nothing,
            AuthorizeBtnContainer: nothing,
            authorizeOperationBtn: nothing,
            ServersContainer: nothing,
            DeepLink: () => ({ text }) => React.createElement('span', {}, text),
        },
    };
}

// Requests go to this server, whatever its public URL is, and are marked if they need no token.
function adapted(description) {
    for (const operations of Object.values(description.paths)) {
        for (const operation of Object.values(operations)) {
            if (operation.security?.length === 0) operation.summary += ' (no log-in needed)';
        }
    }
    return { ...description, servers: [{ url: base || '/' }] };
}

function authorize(request) {
    if (token) request.headers.Authorization ??= `Bearer ${token}`;
    return request;
}

async function start() {
    const root = element('div', { id: 'ui' });
    document.body.replaceChildren(
        element('header', {},
            element('p', {}, element('a', { href: `${base}/docs/plain` }, 'Plain page'), ' ',
                element('a', { href: `${base}/openapi.json` }, 'OpenAPI document')),
            form, leave, status),
        root);
    const response = await fetch(`${base}/openapi.json`);
    window.SwaggerUIBundle({
        spec: adapted(await response.json()),
        domNode: root,
        plugins: [parts],
        requestInterceptor: authorize,
        deepLinking: true,
        docExpansion: 'none',
        defaultModelsExpandDepth: -1,
        tryItOutEnabled: true,
        validatorUrl: null,
        onComplete: () => {
            complete(root);
            new MutationObserver(() => complete(root)).observe(root, { childList: true, subtree: true });
        },
    });
}

start().catch((error) => show(`The description could not be loaded: ${error.message}`, false));
