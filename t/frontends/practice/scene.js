// SPDX-License-Identifier: Apache-2.0
// A drawing in the format of Excalidraw: freehand lines, and boxes with a label.

export class Scene {
    constructor(canvas, changed) {
        this.canvas = canvas;
        this.elements = [];
        canvas.addEventListener('pointerdown', (event) => this.begin(event));
        canvas.addEventListener('pointermove', (event) => this.extend(event));
        canvas.addEventListener('pointerup', () => { this.line = null; });
        this.changed = changed;
    }

    begin(event) {
        this.canvas.setPointerCapture(event.pointerId);
        this.line = this.add({ type: 'freedraw', x: event.offsetX, y: event.offsetY, points: [[0, 0]] });
    }

    extend(event) {
        if (!this.line) return;
        this.line.points.push([event.offsetX - this.line.x, event.offsetY - this.line.y]);
        this.update();
    }

    add(element) {
        const added = { id: crypto.randomUUID(), isDeleted: false, strokeColor: '#1d2433', ...element };
        this.elements.push(added);
        this.update();
        return added;
    }

    // A rectangle and the text inside of it, which name each other.
    addBox(label) {
        const x = 20 + 150 * this.elements.filter((element) => element.type === 'rectangle').length;
        const box = this.add({ type: 'rectangle', x, y: 20, width: 130, height: 50 });
        const text = this.add({ type: 'text', x: x + 10, y: 50, text: label, containerId: box.id });
        box.boundElements = [{ id: text.id, type: 'text' }];
        this.update();
    }

    update() {
        this.draw();
        this.changed();
    }

    data() {
        return { type: 'excalidraw', elements: this.elements, appState: { viewBackgroundColor: '#ffffff' } };
    }

    restore(data) {
        this.elements = 'elements' in data ? JSON.parse(JSON.stringify(data.elements)) : [];
        this.draw();
    }

    draw() {
        const pen = this.canvas.getContext('2d');
        pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
        pen.font = '15px sans-serif';
        for (const { type, x, y, points, width, height, text } of this.elements) {
            pen.beginPath();
            if (type === 'rectangle') pen.rect(x, y, width, height);
            else if (type === 'text') pen.fillText(text, x, y);
            else for (const [dx, dy] of points) pen.lineTo(x + dx, y + dy);
            pen.stroke();
        }
    }
}
