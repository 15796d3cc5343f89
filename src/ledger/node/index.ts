export * from './header-file.js';
