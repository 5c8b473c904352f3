/**
 * Guides and decision records; no code.
 *
 * @module
 */

export {};
