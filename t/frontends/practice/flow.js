// SPDX-License-Identifier: Apache-2.0
// Practice: sign up, draw with auto-save, come back to the drawing, have it checked, submit it, ask questions.

export default async function practice({ step, person, picture, ask }) {
    const email = await ask('address');
    const { title, categories: [category] } = await ask('problem');
    const mia = await person();
    const signup = { first_name: 'Mia', last_name: 'Maker', email, password: 'short' };

    await step('a sign-up with a short password shows the rule as a sentence', ['POST /users/signup 422'], async () => {
        await mia.submit('signup', signup);
        await mia.reads('message', /^[A-Z][^[{]*8 to 72[^[{]*\.$/);
    });
    await step('sign up', ['POST /users/signup 201'], async () => {
        await mia.submit('signup', { password: 'a good password' });
        await mia.reads('message', /: Mia Maker$/);
    });
    await step('a second sign-up with the address shows the reason', ['POST /users/signup 400'], async () => {
        await mia.click('Sign up');
        await mia.reads('message', /^[A-Z].*\.$/);
    });
    await step('a wrong password is refused', ['POST /users/login 401'], async () => {
        await mia.submit('login', { username: email, password: 'a wrong password' });
        await mia.reads('message', /^[A-Z].*/);
    });
    await step('log in', ['POST /users/login 200', 'GET /users/me 200', 'GET /problems/?skip=0&limit=100 200',
        'GET /submissions/user/my-submissions 200'], async () => {
        await mia.submit('login', { password: 'a good password' });
        await mia.reads('welcome', `Logged in as Mia Maker, ${email}`);
    });
    await step('filter the problems',
        [`GET /problems/?skip=0&limit=50&difficulty=medium&category=${category} 200`], async () => {
            await mia.submit('filter', { difficulty: 'medium', category });
            await mia.has('problems', 1);
        });
    await step('open a problem', ['GET /problems/{id} 200', 'GET /sessions/problem/{id} 200'], async () => {
        await mia.click('Open', mia.page.locator('#problems > li', { hasText: title }));
        await mia.reads('title', title);
        await mia.reads('status', 'none');
    });
    await step('start a session', ['POST /sessions/ 201'], async () => {
        await mia.click('Start practice');
        await mia.reads('status', 'active, 0 messages');
    });
    await step('an empty drawing cannot be checked', ['PUT /sessions/{id}/autosave 200',
        'POST /sessions/{id}/check 400'], async () => {
        await mia.click('Check');
        await mia.reads('message', /^[A-Z].*\.$/);
    });

    let drawing;
    await step('a drawing is saved while the person draws', ['PUT /sessions/{id}/autosave 200'], async () => {
        await draw(mia);
        await mia.submit('box', { label: 'Cache' });
        await mia.submit('box', { label: 'Database' });
        await mia.reads('saved', /^saved 2\d{3}-\d\d-\d\dT[\d:]{8}\.\d{3}Z, [0-9a-f]{32}$/);
        drawing = await pixels(mia);
    });
    await step('the drawing is there after a reload', ['GET /problems/{id} 200', 'GET /sessions/problem/{id} 200'],
        async () => {
            await mia.page.reload();
            await mia.reads('saved', 'restored, 5 elements');
            if (await pixels(mia) !== drawing) throw new Error('the canvas has other pixels than before');
        });
    await step('pause and resume', ['PUT /sessions/{id}/pause 200', 'PUT /sessions/{id}/resume 200'], async () => {
        await mia.click('Pause');
        await mia.reads('status', 'paused, 0 messages');
        await mia.click('Resume');
        await mia.reads('status', 'active, 0 messages');
    });
    await step('an expired token is renewed and the call repeated', ['POST /sessions/ 401', 'POST /users/refresh 200',
        'POST /sessions/ 200'], async () => {
        await mia.page.evaluate(() => localStorage.setItem('access_token', 'expired'));
        await mia.click('Start practice');
        await mia.reads('status', 'active, 0 messages');
    });
    await evaluation({ step, picture }, mia, drawing);
}

async function evaluation({ step, picture }, mia, drawing) {
    await step('a check names the requirements that are met and those that are not',
        ['PUT /sessions/{id}/autosave 200', 'POST /sessions/{id}/check 200'], async () => {
            await mia.click('Check');
            await mia.reads('feedback', /^Done: A cache [^]*\nDone: A database [^]*\nMissing: A rate limiter\nNext: /);
            await mia.reads('feedback', /\nNew evaluation of 2\d{3}-/);
        });
    await step('the answer to a question is a stream', ['POST /sessions/{id}/ai-chat 200'], async () => {
        await mia.submit('question', { message: 'Where does the cache belong?' });
        await mia.reads('chat', /^Where does the cache belong\?\n.*\S/);
    });
    await step('submit', ['PUT /sessions/{id}/autosave 200', 'POST /sessions/{id}/submit 200'], async () => {
        await mia.click('Submit');
        await mia.reads('message', /^Submitted: 0 of \d+, \d+ parts, [0-9a-f]{24}, 2\d{3}-/);
        await mia.reads('feedback', /Tip: /);
    });
    await picture(mia);
    await step('the submission can be loaded into a new session', ['POST /sessions/ 201',
        'GET /sessions/problem/{id}/submissions 200'], async () => {
        await mia.click('Start practice');
        await mia.reads('status', 'active, 0 messages');
        await mia.click('Earlier submissions');
        await mia.reads('submissions', /^[0-9a-f]{24} of session [0-9a-f]{24}: 0 of \d+, 2.*, \d+ seconds/);
        await mia.click('Load');
        if (await pixels(mia) !== drawing) throw new Error('the canvas has other pixels than before');
    });
}

// A freehand line with the mouse, slow enough for several auto-saves.
async function draw({ page }) {
    const { x, y } = await page.locator('#canvas').boundingBox();
    await page.mouse.move(x + 40, y + 200);
    await page.mouse.down();
    for (let i = 1; i <= 60; i++) {
        await page.mouse.move(x + 40 + 10 * i, y + 180 + 40 * Math.sin(i / 5));
        await page.waitForTimeout(15);
    }
    await page.mouse.up();
}

function pixels({ page }) {
    return page.locator('#canvas').evaluate((canvas) => canvas.toDataURL());
}
