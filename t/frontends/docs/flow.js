// SPDX-License-Identifier: Apache-2.0
// The pages of the module: from the start page to /docs; sign up, log in by keyboard, create and join a session.
// axe finds no violation in light and dark, and no page scrolls sideways on a phone.

const password = 'a good password';
const session = { title: 'Pointers', description: 'Arrays and pointers', date: '2040-03-01T10:00:00Z',
    max_participants: 2 };

function check(condition, complaint) {
    if (!condition) throw new Error(complaint);
}

// ---- what holds for every page ----

// No part of the page is wider than the window.
async function fits({ page }) {
    const wide = await page.evaluate(() => [...document.querySelectorAll('body *')]
        .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1)
        .map((element) => `${element.tagName}.${element.className}`).slice(0, 5));
    const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(width <= 0, `the page is ${width} pixels too wide: ${wide}`);
}

async function looks({ step, axe, picture }, person, name) {
    for (const colorScheme of ['light', 'dark']) {
        await step(`${name}: axe finds nothing in ${colorScheme} colours`, [], async () => {
            await person.page.emulateMedia({ colorScheme });
            await person.page.evaluate(() => new Promise((shown) => { // the next frame but one has the new colours
                requestAnimationFrame(() => requestAnimationFrame(shown));
            }));
            const violations = await axe(person);
            check(!violations, violations);
        });
        await picture(person, `${name}-${colorScheme}`, false);
    }
    await step(`${name}: a phone shows it without scrolling sideways`, [], async () => {
        await person.page.setViewportSize({ width: 360, height: 700 });
        await fits(person);
    });
    await picture(person, `${name}-phone`, false);
    await person.page.setViewportSize({ width: 1000, height: 800 });
    await person.page.emulateMedia({ colorScheme: 'light' });
}

// ---- the keyboard ----

// Presses Tab until the element has the focus, which must be visible.
async function tabTo({ page }, selector) {
    for (let i = 0; i < 20; i++) {
        await page.keyboard.press('Tab');
        if (await page.locator(selector).evaluate((element) => element === document.activeElement)) {
            const style = await page.locator(selector).evaluate((element) => getComputedStyle(element).outlineWidth);
            check(parseFloat(style) >= 2, `the focus on ${selector} is not visible: ${style}`);
            return;
        }
    }
    throw new Error(`Tab does not lead to ${selector}`);
}

async function logIn(person, email, secret) {
    await person.page.evaluate(() => window.scrollTo(0, 0));
    await person.page.mouse.click(2, 2); // Tab begins at the top of the page
    await tabTo(person, '#login [name=username]');
    await person.page.keyboard.type(email);
    await tabTo(person, '#login [name=password]');
    await person.page.keyboard.type(secret);
    await tabTo(person, '#login button');
    await person.page.keyboard.press('Enter');
}

// ---- operations ----

// Opens an operation by keyboard; returns its element.
async function open({ page }, method, path) {
    const block = page.locator(`.opblock-${method}:has([data-path="${path}"])`);
    await block.locator('.opblock-summary-control').focus();
    await page.keyboard.press('Enter');
    await block.locator('.execute').waitFor();
    return block;
}

// Opens the operations of a section by keyboard.
async function unfold({ page }, title) {
    await page.locator('.opblock-tag', { hasText: title }).locator('button').focus();
    await page.keyboard.press('Enter');
}

// Sends the request with a body or with the path's id. Returns the text of the response.
async function execute(block, { body, id }) {
    if (body) await block.locator('.body-param__text').fill(JSON.stringify(body));
    if (id) await block.locator('tr[data-param-name=id] input').fill(String(id));
    await block.locator('.execute').click();
    const response = block.locator('.live-responses-table');
    await response.locator('.highlight-code').first().waitFor();
    return { text: await response.innerText(), curl: await block.locator('pre.curl').innerText() };
}

async function startPages(flow, person) {
    const { step } = flow;
    await looks(flow, person, 'start');
    await step('the start page leads to the plain page', [], async () => {
        await person.page.getByRole('link', { name: 'Group tutoring sessions' }).click();
        await person.page.locator('#group-tutoring-sessions').waitFor();
    });
    await looks(flow, person, 'plain');
    await step('and to /docs', ['GET /openapi.json 200'], async () => {
        await person.page.goBack();
        await person.page.getByRole('link', { name: '/docs', exact: true }).click();
        await person.page.locator('.opblock-tag').first().waitFor();
    });
}

async function accounts({ step, ask }, person, email) {
    const names = { first_name: 'Ina', last_name: 'Person', email, password };
    await step('sign up', ['POST /users/signup 201'], async () => {
        await unfold(person, 'Accounts in the formats of practice');
        const { text, curl } = await execute(await open(person, 'post', '/users/signup'), { body: names });
        check(text.includes('User created successfully'), text);
        check(/^curl -X 'POST' \\\s+'http:\S+\/users\/signup'/.test(curl) && curl.includes(email), curl);
    });
    await ask('instructor', email);
    await step('a wrong password is refused', ['POST /users/login 401'], async () => {
        await logIn(person, email, 'a wrong password');
        await person.reads('status', /password/);
    });
    await person.page.locator('#login').evaluate((form) => form.reset());
    await step('log in by keyboard', ['POST /users/login 200'], async () => {
        await logIn(person, email, password);
        await person.reads('status', new RegExp(`Logged in as ${email}`));
    });
}

export default async function docs(flow) {
    const { step, ask } = flow;
    const ina = await flow.person();
    const email = await ask('address');
    let id;
    await startPages(flow, ina);
    await accounts(flow, ina, email);
    await step('create a session', ['POST /api/sessions/ 201'], async () => {
        await unfold(ina, 'Group tutoring sessions');
        const { text, curl } = await execute(await open(ina, 'post', '/api/sessions/'), { body: session });
        id = Number(/"id": (\d+)/.exec(text)[1]);
        check(/-H 'Authorization: Bearer \S+'/.test(curl), curl);
    });
    await step('nothing is stored in the browser', [], async () => {
        const stored = await ina.page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
        check(String(stored) === '0,0,', `stored: ${stored}`);
    });
    await step('log out', ['POST /auth/token/logout/ 204'], async () => {
        await ina.page.locator('#logout').click();
        await ina.reads('status', 'Logged out.');
    });
    const join = await open(ina, 'post', '/api/sessions/{id}/join/');
    await step('without a token, joining is refused', ['POST /api/sessions/{id}/join/ 401'], async () => {
        const { text, curl } = await execute(join, { id });
        check(/401/.test(text) && !/Authorization/.test(curl), text + curl);
    });
    const student = await ask('student');
    await step('another user joins', ['POST /users/login 200', 'POST /api/sessions/{id}/join/ 201'], async () => {
        await logIn(ina, student.email, student.password);
        await ina.reads('status', new RegExp(`Logged in as ${student.email}`));
        await execute(join, { id });
        await join.locator('.live-responses-table', { hasText: '201' }).waitFor();
    });
    check(String(await ask('participants', id)) === student.email, 'the student has joined');
    const change = await open(ina, 'put', '/api/sessions/{id}/');
    await change.locator('.tablinks[data-name=model]').first().click(); // axe looks at a schema, too
    await change.locator('.json-schema-2020-12').first().waitFor();
    await join.scrollIntoViewIfNeeded();
    await looks(flow, ina, 'docs');
    await step('after a reload, the token is gone', ['GET /openapi.json 200'], async () => {
        await ina.page.reload();
        await ina.page.locator('#login button').waitFor();
        await ina.page.locator('.opblock-tag').first().waitFor();
    });
}
