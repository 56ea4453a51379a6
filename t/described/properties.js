// SPDX-License-Identifier: Apache-2.0
// Sends generated requests to every operation of the description and checks the responses: node properties.js FILE.
// FILE is JSON: {packages, document, base, seed, count, only, tokens, cases: {"GET /path": [{id, token,
// json, form, query}]}}; the cases are valid requests. Writes one JSON object: findings with a curl command, the
// statuses received, and the sentences with which requests were rejected that the description allows.
import { readFileSync } from 'node:fs';
import { Agent, request as send } from 'node:http';

import { Document } from './document.js';
import { beyond, hostile, others, Random, valueOf } from './random.js';

const options = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const document = new Document(JSON.parse(readFileSync(options.document, 'utf8')), options.packages);
const deref = (schema) => document.deref(schema);
const agent = new Agent({ keepAlive: true, maxSockets: 8 });
const operations = document.operations().filter(({ name }) => new RegExp(options.only || '').test(name));
const keys = []; // Idempotency-Keys that were sent

// ---- requests ----

const propertiesOf = (schema) => {
    const found = deref(schema) ?? {};
    const parts = [...found.allOf ?? [], ...found.anyOf ?? [], ...found.oneOf ?? []];
    return Object.assign({}, ...parts.map(propertiesOf), found.properties);
};

// A body of a case with some members generated. Values that refer to something, such as ids and passwords, are kept.
const refers = /(?:^|_)(?:id|uid|goal|activity|reward|token|refresh|password|password2|availability|username|email)$/;

function validBody(schema, given, random, atLimit) {
    const value = valueOf(schema, random, deref, { atLimit });
    if (!given || Array.isArray(given) || typeof value !== 'object' || Array.isArray(value)) return given ?? value;
    const body = { ...given };
    for (const [name, part] of Object.entries(value ?? {})) {
        if (!refers.test(name) && random.chance(0.6)) body[name] = part;
    }
    return body;
}

// Replaces a member by a value just beyond its limits, or one at any depth by another value, or removes it.
function spoil(body, schema, random, values) {
    const names = [...new Set([...Object.keys(body ?? {}), ...Object.keys(propertiesOf(schema))])];
    if (!names.length) return random.pick(values);
    const limited = Object.entries(propertiesOf(schema)).map(([name, part]) => [name, beyond(part, deref)])
        .filter(([, beyondIt]) => beyondIt.length);
    if (limited.length && random.chance(0.4)) {
        const [name, beyondIt] = random.pick(limited);
        return { ...body, [name]: random.pick(beyondIt) };
    }
    const copy = structuredClone(body ?? {});
    let place = copy;
    let name = random.pick(names);
    while (place[name] && typeof place[name] === 'object' && random.chance(0.5) && Object.keys(place[name]).length) {
        place = place[name];
        name = random.pick(Object.keys(place));
    }
    if (random.chance(0.1)) delete place[name];
    else place[name] = random.pick(values);
    return copy;
}

const broken = [(text) => text.slice(0, -1), (text) => `${text}x`, (text) => text.replace('{', '{"a":1,"a":2,'),
    () => '',
    () => '[]', () => 'null', () => '"x"', () => '1', () => '[[[[', () => '[{},{}]', () => '{"a":1e99999}',
    (text) => text.replace('{', '{"\\u0000":1,'), () => Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), () => '\ufeff{}',
    () => `${'['.repeat(500)}${']'.repeat(500)}`, () => `{"a":${'{"a":'.repeat(250)}1${'}'.repeat(251)}`,
    () => `[${'0,'.repeat(10001)}0]`, () => `{"x":"${'x'.repeat(20000)}"}`, () => '{"a":01}', () => "{'a':1}"];

const wrongTypes = ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data',
    'application/json; charset=latin1', 'multipart/form-data; boundary=x', 'x', 'application/jsonx', ''];

const wrongTokens = [undefined, 'Bearer', 'Bearer ', 'Bearer x', 'Token x', 'Basic dTpw', 'Bearer a.b.c',
    `Token ${'0'.repeat(40)}`,
    `Bearer ${'x'.repeat(5000)}`, 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.'];

const wrongIds = ['0', '-1', '1.5', 'x', '9223372036854775807', '9223372036854775808', '99999999999999999999999',
    '%00', '%2F',
    '%', '%zz', '..', '.', '%2e%2e', '%F0%9F%98%80', '%FF', '0'.repeat(24), 'g'.repeat(24), 'a'.repeat(300), "'",
    '%27OR%271',
    '00000000-0000-4000-8000-000000000000', 'null', '1;2', '1,2', '%20', '+1', '01', '1e3', '%0a', '%D9%A1'];

const wrongHeaders = [{ 'If-Match': '*' }, { 'If-Match': '"x"' }, { 'If-Match': 'x' }, { 'If-Match': 'W/"x"' },
    { 'If-None-Match': '*' }, { 'If-None-Match': '"x"' }, { 'Idempotency-Key': '' },
    { 'Idempotency-Key': 'x'.repeat(256) },
    { 'Idempotency-Key': 'k e y' }, { 'Idempotency-Key': '\u00e4' }, { Accept: 'text/html' }, { Accept: 'x' },
    { Origin: 'https://example.com' }, { Range: 'bytes=0-1' }, { 'Content-Encoding': 'gzip' },
    { Expect: '100-continue' },
    { 'X-HTTP-Method-Override': 'DELETE' }, { Cookie: 'a=b' }, { Authorization: 'x' }, { 'Accept-Encoding': 'gzip' }];

function queryOf(operation, random, given, kind) {
    const query = new URLSearchParams(given ?? {});
    for (const { name, schema, in: where } of operation.parameters) {
        if (where !== 'query' || !random.chance(kind === 'query' ? 0.7 : 0.3)) continue;
        const wrong = kind === 'query' && random.chance(0.7);
        const value = wrong ? random.pick(random.chance(0.5) ? hostile : others)
            : valueOf(schema, random, deref, { atLimit: kind === 'limit' });
        query.set(name, (typeof value === 'string' ? value : JSON.stringify(value) ?? '').slice(0, 2000));
    }
    if (kind === 'query' && random.chance(0.2)) query.append('unknown', random.pick(hostile).slice(0, 500));
    return query.size ? `?${query}` : '';
}

function pathOf(operation, random, given, kind) {
    return operation.template.replace(/\{[^}]*\}/g, () => {
        if (kind === 'path' || given.id === undefined || given.id === null) return random.pick(wrongIds);
        return encodeURIComponent(given.id);
    });
}

const kinds = { valid: 5, limit: 3, member: 6, hostile: 3, unknown: 1, broken: 2, token: 1, path: 2, query: 3,
    header: 2,
    type: 1, role: 1 };
const weighted = Object.entries(kinds).flatMap(([kind, weight]) => Array(weight).fill(kind));

function bodyOf(operation, random, given, kind) {
    const schema = document.bodySchema(operation);
    const form = new URLSearchParams(given.form ?? {});
    if (!schema && !given.form) return kind === 'broken' ? { text: random.pick(broken)('{}') } : {};
    if (given.form) {
        if (kind === 'member' || kind === 'hostile') {
            form.set(random.pick([...form.keys()]), String(random.pick(hostile)));
        }
        return { text: String(form), type: 'application/x-www-form-urlencoded' };
    }
    let body = given.json;
    if (kind === 'valid' || kind === 'limit') body = validBody(schema, body, random, kind === 'limit');
    if (kind === 'member') body = spoil(body, schema, random, others);
    if (kind === 'hostile') body = spoil(body, schema, random, hostile);
    if (kind === 'unknown' && !Array.isArray(body)) body = { ...body, [random.pick(hostile)]: random.pick(others),
    id: 1 };
    let text = JSON.stringify(body ?? valueOf(schema, random, deref));
    if (kind === 'broken') text = random.pick(broken)(text);
    return { text, type: kind === 'type' ? random.pick(wrongTypes) : 'application/json' };
}

// Operations that may end the token: other requests need those of `tokens`.
const ends = /auth|users\/me/;

// A request: {operation, kind, method, target, headers, text, anyone}.
function generate(operation, seed) {
    const random = new Random(seed);
    const given = random.pick(options.cases[operation.name] ?? [{}]);
    const kind = random.pick(weighted);
    const { text, type } = bodyOf(operation, random, given, kind);
    const headers = {};
    if (type) headers['Content-Type'] = type;
    if (text !== undefined) headers['Content-Length'] = Buffer.byteLength(text);
    const token = kind === 'role' && !ends.test(operation.name) ? random.pick(options.tokens) : given.token;
    if (token) headers.Authorization = / /.test(token) ? token : `Bearer ${token}`;
    if (kind === 'token') {
        const wrong = random.pick(wrongTokens);
        if (wrong === undefined) delete headers.Authorization;
        else headers.Authorization = wrong;
    }
    if (kind === 'header') Object.assign(headers, random.pick(wrongHeaders));
    if (operation.method === 'post' && random.chance(0.15)) {
        if (!keys.length || random.chance(0.6)) keys.push(`key ${random.below(1e9)}`);
        headers['Idempotency-Key'] ??= random.pick(keys);
    }
    const method = kind !== 'valid' || operation.method !== 'get' || random.chance(0.9)
        ? operation.method.toUpperCase() : 'HEAD';
    return { operation, kind, method, headers, text,
        target: pathOf(operation, random, given, kind) + queryOf(operation, random, given.query, kind) };
}

function exchange({ method, target, headers, text }) {
    return new Promise((resolve) => {
        const { hostname, port } = new URL(options.base);
        const client = send({ agent, hostname, port, method, path: target, headers, timeout: 60000 }, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('error', (error) => resolve({ failed: error.message }));
            response.on('end', () => resolve({ method, path: target, status: response.statusCode,
                headers: response.headers, body: Buffer.concat(parts).toString() }));
        });
        client.on('timeout', () => client.destroy(new Error('no response within 60 s')));
        client.on('error', (error) => resolve({ failed: error.message, code: error.code }));
        client.end(text);
    });
}

// ---- checks ----

const quote = (value) => `'${String(value).replaceAll("'", "'\\''")}'`;

function curlOf({ method, target, headers, text }) {
    const lines = Object.entries(headers).filter(([name]) => name !== 'Content-Length')
        .map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`);
    const data = text === undefined ? [] : [`--data-binary ${quote(text)}`];
    const how = method === 'HEAD' ? '-I' : `-X ${method}`;
    return ['curl --path-as-is', how, quote(options.base + target), ...lines, ...data].join(' ');
}

const findings = new Map(); // by sentence: {count, curl, answer}
const rejected = new Map(); // by operation and sentence: count
const statuses = {};

function note(request, problem, answer) {
    const name = `${request.operation.name} ${answer.status ?? ''}: ${problem.replaceAll(/\/\d+(?=[/ ])/g, '/N')}`;
    const found = findings.get(name) ?? { count: 0, kind: request.kind, seed: request.seed, curl: curlOf(request),
        answer: (answer.body ?? answer.failed).slice(0, 500) };
    found.count += 1;
    findings.set(name, found);
}

// What the description says is wrong with a request for an operation.
function wrongWith({ operation, method, target, headers, text }) {
    const body = Buffer.isBuffer(text) ? text.toString('latin1') : text;
    const found = document.find(method, target);
    if (found?.name !== operation.name) return null;
    return document.requestProblems(operation, target, headers['Content-Type'], body);
}

function judge(request, answer) {
    const { operation } = request;
    if (answer.failed) {
        note(request, `no response: ${answer.failed}`, answer);
        return;
    }
    const { status } = answer;
    (statuses[operation.name] ??= {})[status] = (statuses[operation.name][status] ?? 0) + 1;
    if (status >= 500) note(request, 'an error of the server', answer);
    const { operation: found, problems } = document.exchangeProblems(answer);
    for (const problem of problems ?? []) note(request, problem, answer);
    const wrong = wrongWith(request);
    if (!found || !wrong) return;
    if (status < 300 && wrong.length) note(request, `success of a request with ${wrong[0]}`, answer);
    if (status < 300 && operation.operation.security?.length && request.kind === 'token') {
        note(request, 'success without a valid token', answer);
    }
    if ((status === 400 || status === 422) && !wrong.length) {
        const text = `${request.operation.name} ${status} ${answer.body.slice(0, 200)}`;
        rejected.set(text, (rejected.get(text) ?? 0) + 1);
    }
}

// ---- all requests ----

let next = 0;
async function client() {
    while (next < options.count) {
        const seed = (options.seed + next) >>> 0;
        const request = generate(operations[next % operations.length], seed);
        request.seed = seed;
        next += 1;
        judge(request, await exchange(request));
    }
}

await Promise.all(Array.from({ length: 8 }, client));
agent.destroy();
process.stdout.write(JSON.stringify({ sent: next, statuses,
    findings: [...findings].map(([text, found]) => ({ text, ...found })).sort((a, b) => b.count - a.count),
    rejected: Object.fromEntries([...rejected].sort((a, b) => b[1] - a[1])) }));
