const React = require("react");
import helper, { other } from "./helper";

/** Draws a button. */
export function Button({ label, onClick }) {
  // Shown as it is.
  return <button onClick={onClick}>{label}</button>;
}

class Store {
  #items = [];

  add(item) {
    this.#items.push(item); // at the end
  }

  get size() {
    return this.#items.length;
  }
}

const LIMIT = 3;

module.exports = { Button, Store };
