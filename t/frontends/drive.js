// SPDX-License-Identifier: Apache-2.0
// Runs the flow of one front end in Chromium: node drive.js '{"name", "api", "pages", "driver", "out"}'.
// Writes one JSON line for each step, {step, ok, error}, and {done} at the end. {ask, values} is a question to the
// test, which answers with a JSON line on standard input; {exchange} is a call, for t/99-described.t. The end of
// standard input ends the driver and Chromium.
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${options.driver}/`)('playwright-core');
const { source: axe } = createRequire(`${options.driver}/`)('axe-core');
const timeout = 20000; // of one action, in milliseconds
const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const short = (text) => (text.length > 600 ? `${text.slice(0, 600)} ...` : text);

// ---- what the browser sent and received ----

const ids = /(?<=\/|user=)(?:(?=[^/]*\d)[\w-]{20,}|\d+)(?=[/?]|$)/g; // numbers, UUIDs, 24 hex digits and the like
const loaded = /^(?:image|document|script|stylesheet)$/; // what the browser requests itself, at any time
const pages = []; // of all people
let calls = []; // since the last step, in the order of sending: {name, status, body}
let faults = []; // what the browser reported since the last step

// Calls as "PUT /sessions/{id}/autosave 200". Equal PUTs in a row count once: pages save as often as they can.
function callNames() {
    const names = calls.map(({ name, status }) => `${name} ${status}`);
    return names.filter((name, i) => !name.startsWith('PUT ') || name !== names[i - 1]);
}

async function writeExchange(request, response, body) {
    const headers = response.headers();
    const text = /json/.test(headers['content-type']) ? await body : '';
    const type = request.headers()['content-type'] ?? '';
    write({ exchange: { method: request.method(), path: request.url().slice(options.api.length),
        ...type.startsWith('application/json') && { sent: request.postData(), sent_type: type },
        status: response.status(), headers, ...text && { body: text } } });
}

function record(page) {
    const sent = new Map();
    page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(`${options.api}/`) || loaded.test(request.resourceType())) return;
        const call = { name: `${request.method()} ${url.slice(options.api.length).replace(ids, '{id}')}`, status: 0 };
        sent.set(request, call);
        calls.push(call);
    });
    page.on('requestfinished', async (request) => {
        const response = await request.response();
        const call = sent.get(request);
        if (call) {
            call.body = response.text().catch(() => '');
            call.status = response.status();
            writeExchange(request, response, call.body);
        } else if (response.status() >= 400) {
            faults.push(`${request.url()}: ${response.status()}`);
        }
    });
    page.on('requestfailed', async (request) => {
        const response = await request.response();
        // A page that reads an event stream to its end may release it before the browser has noted the end.
        if (request.failure().errorText === 'net::ERR_ABORTED' && sent.has(request)
            && response?.headers()['content-type'] === 'text/event-stream') {
            sent.get(request).status = response.status();
            return;
        }
        faults.push(`${request.method()} ${request.url()}: ${request.failure().errorText}`);
        if (sent.has(request)) sent.get(request).status = 'failed';
    });
    page.on('pageerror', (error) => faults.push(`uncaught: ${error.message ?? error}`));
    page.on('console', (message) => {
        const refused = /^Failed to load resource: the server responded with a status of/; // a call of the step
        if (message.type() === 'error' && !refused.test(message.text())) faults.push(`console: ${message.text()}`);
    });
}

// Waits until the page has finished what a click or a form started. Pages of the module do not show it.
async function idle(page) {
    if (!options.path) await page.locator('body[aria-busy=false]').waitFor({ state: 'attached' });
}

async function settle() {
    for (const page of pages) await idle(page);
    const end = Date.now() + timeout;
    while (calls.some((call) => call.status === 0) && Date.now() < end) await pause(10);
}

// ---- steps ----

async function complaint(announced, error) {
    const lines = [];
    if (error) lines.push(short(error.message));
    if (JSON.stringify(callNames()) !== JSON.stringify(announced)) {
        lines.push('other calls than announced, which were:', ...announced.map((name) => `  ${name}`));
    }
    lines.push(...faults.map(short));
    if (!lines.length) return '';
    lines.push('calls made:');
    for (const { name, status, body } of calls) lines.push(`  ${name} ${status}: ${short(await body ?? '')}`);
    return lines.join('\n');
}

// Runs one step. It passes if `work` returns, the pages made exactly the announced calls with these statuses in this
// order, and the browser reported no error, both since the last step. A failure ends the flow.
async function step(name, announced, work) {
    let error;
    try {
        await work();
        await settle();
    } catch (caught) {
        error = caught;
    }
    const text = await complaint(announced, error);
    write({ step: name, ok: !text, error: text });
    if (text) throw new Error(`failed: ${name}`);
    calls = [];
    faults = [];
}

// ---- people ----

// A person with a browser profile of their own, in front of the page.
class Person {
    constructor(page) {
        this.page = page;
    }

    // Types into the fields of a form, and clicks its button.
    async submit(form, values) {
        for (const [name, value] of Object.entries(values)) {
            const field = this.page.locator(`#${form} [name=${name}]`);
            const type = await field.evaluate((element) => element.type);
            if (type.startsWith('select')) await field.selectOption(value);
            else if (type === 'file') await field.setInputFiles(value);
            else if (/^(?:date|datetime-local|color)$/.test(type)) await field.fill(value);
            else {
                await field.clear();
                await field.pressSequentially(value);
            }
        }
        await this.page.locator(`#${form} button`).click();
        await idle(this.page);
    }

    async click(name, within = this.page) {
        await within.getByRole('button', { name, exact: true }).click();
        await idle(this.page);
    }

    // Waits until the element with this id shows exactly this text, or one that matches a regular expression.
    async reads(id, expected) {
        const element = this.page.locator(`#${id}`);
        const fits = (text) => (expected instanceof RegExp ? expected.test(text) : text === expected);
        await this.until(async () => {
            const text = await element.isVisible() ? (await element.innerText()).trim() : '(hidden)';
            return fits(text) ? '' : `#${id} reads "${text}" instead of "${expected}"`;
        });
    }

    // Waits until the list with this id has `count` entries.
    async has(id, count) {
        await this.until(async () => {
            const found = await this.page.locator(`#${id} > li`).count();
            return found === count ? '' : `#${id} has ${found} entries instead of ${count}`;
        });
    }

    // Repeats `check` until it returns no complaint.
    async until(check) {
        const end = Date.now() + timeout;
        for (let complaint = await check(); complaint; complaint = await check()) {
            if (Date.now() > end || faults.length) throw new Error(complaint);
            await pause(20);
        }
    }
}

async function main() {
    const lines = createInterface({ input: process.stdin });
    lines.on('close', () => process.exit(1)); // the test died; Chromium ends when this process does
    process.on('SIGTERM', () => process.exit(1));
    process.chdir(tmpdir());
    // A path that Chromium can reach below a closed folder, and short enough for the socket that it creates there.
    process.env.TMPDIR = process.env.HOME = '/proc/self/cwd';
    const browser = await chromium.launch({
        executablePath: fileURLToPath(new URL('chromium', import.meta.url)), args: flags,
        ignoreDefaultArgs: ['--headless'], handleSIGTERM: false,
    });
    const flow = {
        step,
        async person(hash = '') {
            const context = await browser.newContext({ viewport: { width: 1000, height: 800 } });
            context.setDefaultTimeout(timeout);
            const page = await context.newPage();
            pages.push(page);
            record(page);
            const path = options.path ?? `/${options.name}/index.html?api=${encodeURIComponent(options.api)}${hash}`;
            await page.goto(`${options.pages}${path}`);
            return new Person(page);
        },
        ask(ask, ...values) {
            write({ ask, values });
            return new Promise((resolve) => { lines.once('line', (line) => resolve(JSON.parse(line))); });
        },
        async picture(person, name = options.name, fullPage = true) {
            await person.page.screenshot({ path: `${options.out}/${name}.png`, fullPage });
        },
        // The violations that axe finds on the page, as text.
        async axe(person) {
            await person.page.evaluate(axe);
            const { violations } = await person.page.evaluate('axe.run()');
            const targets = (nodes) => nodes.map(({ target }) => target).join(' | ');
            return violations.map(({ id, nodes }) => `${id}: ${targets(nodes)}`).join('\n');
        },
    };
    const { default: run } = await import(`./${options.name}/flow.js`);
    try {
        await run(flow);
        await step('nothing happened after the last step', [], () => {});
        write({ done: true });
    } finally {
        await browser.close();
    }
    process.exit(0);
}

main().catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
