import { mount } from 'svelte';
import './app.css';
import Root from './App.svelte';
import { connect, toAppError } from './lib/backend';
import { t } from './lib/messages/index.svelte';
import { App } from './lib/stores/app.svelte';
import { Settings } from './lib/stores/settings.svelte';

const target = document.getElementById('app') ?? document.body;
const settings = new Settings();

try {
  const app = new App(await connect(), settings);
  mount(Root, { target, props: { app } });
} catch (thrown) {
  target.textContent = `${t('start.failed')}: ${toAppError(thrown).message}`;
}
