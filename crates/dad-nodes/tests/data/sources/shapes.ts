import { Unit } from "./units";
import type { Options } from "./options";

/** What has an area. */
export interface HasArea {
  readonly unit: Unit;
  /** The area. */
  area(exact?: boolean): number;
}

export type Kind = "round" | "square";

export enum Corner {
  None,
  Four = 4,
}

// A plain comment.
/**
 * A circle.
 * @param radius from the middle to the rim
 */
@sealed
export abstract class Circle<T extends Options> extends Shape implements HasArea {
  static count = 0;
  private radius: number; // kept

  constructor(radius: number) {
    super();
    /* nothing else */
    this.radius = radius;
  }

  @memo()
  area(): number {
    const text = `// no comment

    in a string`;
    return text.length * this.radius ** 2;
  }

  abstract name(): string;
}

export const twice = async (value: number): Promise<number> => {
  return value * 2;
};

export function outer(value: string): void {
  function nested() {}
  nested();
}

declare function external(name: string): boolean;

namespace Tools {
  export function help(): void {}
}

export default function main() {
  console.log("http://example.com");
}
export { Unit } from "./units";
