// Prism looks for code in the page as soon as it is loaded, unless this was said before.
Object.assign(globalThis, { Prism: { manual: true, disableWorkerMessageHandler: true } });
