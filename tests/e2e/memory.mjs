// Keeps hold of the instance that the Worker makes, to tell how large its memory has become. It never shrinks.
const instances = [];
const { Instance } = WebAssembly;
WebAssembly.Instance = class extends Instance {
  constructor(...values) {
    super(...values);
    instances.push(this);
  }
};
export const memoryBytes = () => instances.reduce((sum, { exports }) => sum + exports.memory.buffer.byteLength, 0);
