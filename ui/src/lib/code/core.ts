import './alone';
import Prism from 'prismjs/components/prism-core';

// Its languages expect it here.
Object.assign(globalThis, { Prism });

export { Prism };
