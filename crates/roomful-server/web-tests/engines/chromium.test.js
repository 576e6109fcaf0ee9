import { smoke } from "./smoke.js";

smoke("chromium");
