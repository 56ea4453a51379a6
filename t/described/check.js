// SPDX-License-Identifier: Apache-2.0
// Checks recorded exchanges against the description: node check.js PACKAGES DOCUMENT FILE...
// Writes one JSON object: the numbers of exchanges, what was wrong with them, the statuses that each operation
// returned, and the planted faults that the check did not find.
import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { Document } from './document.js';

const [packages, source, ...files] = process.argv.slice(2);
const document = new Document(JSON.parse(readFileSync(source, 'utf8')), packages);
const findings = new Map(); // by sentence: {count, tests, exchange}
const statuses = {};
const counts = { read: 0, checked: 0, left: 0 };
const samples = new Map(); // of the planted faults
const anyKeys = 'GET /openapi.json'; // the description itself, whose keys are not described

// What is wrong; null: the exchange is not one of the module.
function problemsOf(exchange) {
    const { operation, problems } = document.exchangeProblems(exchange);
    if (operation && problems) {
        (statuses[operation.name] ??= {})[exchange.status] = 1;
        if (/^2/.test(exchange.status) && exchange.status !== 206) {
            const target = document.targetOf(exchange);
            problems.push(...document.pathProblems(operation, target), ...document.queryProblems(operation, target));
            if (exchange.sent !== undefined) {
                problems.push(...document.bodyProblems(operation, exchange.sent_type, exchange.sent));
            }
            const samplable = exchange.method !== 'HEAD' && operation.name !== anyKeys;
            if (!problems.length && samplable) samples.set(operation.name, exchange);
        }
    }
    return problems;
}

function note(exchange, problem) {
    const operation = document.find(exchange.method, document.targetOf(exchange));
    const place = `${operation?.name ?? exchange.method} ${exchange.status}`;
    const text = `${place}: ${problem.replaceAll(/\/\d+(?=[/ ])/g, '/N')}`;
    const found = findings.get(text) ?? { count: 0, tests: new Set(), exchange };
    found.count += 1;
    found.tests.add(exchange.test);
    findings.set(text, found);
}

function check(line) {
    counts.read += 1;
    const exchange = JSON.parse(line);
    exchange.status = Number(exchange.status);
    const problems = problemsOf(exchange);
    counts[problems ? 'checked' : 'left'] += 1;
    for (const problem of problems ?? []) note(exchange, problem);
}

// ---- planted faults ----

const withBody = (change) => (exchange) => {
    if (!/json/.test(exchange.headers?.['content-type']) || !exchange.body) return null;
    const body = JSON.parse(exchange.body);
    return body && typeof body === 'object' && change(body) ? { ...exchange, body: JSON.stringify(body) } : null;
};

const firstObject = (body) => (Array.isArray(body) ? body.find((item) => item && typeof item === 'object') : body);

const faults = {
    'another key': withBody((body) => {
        const object = firstObject(body);
        if (object) object.undescribed_key = 1;
        return object;
    }),
    'no key': withBody((body) => !Array.isArray(body) && Object.keys(body).map((key) => delete body[key]).length),
    'another status': (exchange) => ({ ...exchange, status: 299 }),
    'another media type': ({ headers, ...rest }) =>
        (rest.body ? { ...rest, headers: { ...headers, 'content-type': 'application/x-other' } } : null),
    'another header': ({ headers, ...rest }) =>
        (headers ? { ...rest, headers: { ...headers, 'x-undescribed': '1' } } : null),
};

// Operations, with the faults, whose changed exchanges are accepted.
function unnoticed() {
    const missed = [];
    for (const [name, exchange] of samples) {
        for (const [fault, change] of Object.entries(faults)) {
            const changed = change(exchange);
            if (changed && problemsOf(changed)?.length === 0) missed.push(`${name}: ${fault}`);
        }
    }
    return missed;
}

for (const file of files) {
    for await (const line of createInterface({ input: createReadStream(file) })) check(line);
}
const received = structuredClone(statuses);
const planted = samples.size;
process.stdout.write(JSON.stringify({ ...counts, planted, unnoticed: unnoticed(),
    operations: Object.fromEntries(document.operations().map((operation) => [operation.name,
        { described: Object.keys(operation.operation.responses),
            received: Object.keys(received[operation.name] ?? {}) }])),
    findings: [...findings].sort((a, b) => b[1].count - a[1].count)
        .map(([text, { count, tests, exchange }]) => ({ text, count, tests: [...tests], exchange })) }));
