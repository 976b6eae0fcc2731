// The search runs in a worker. Browsers start none for a page that was opened from a disk (file:), so a hidden frame
// does its work there: it loads the same script, and the messages go between the two windows.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc =
        `<script>postMessage = data => parent.postMessage(data, "*");</script><script src="${new URL(script, location)}"></script>`;
      this.frame.addEventListener("load", () => {
        for (const data of this.waiting.splice(0)) this.send(data);
        this.waiting = null;
      });
      window.addEventListener("message", event => {
        if (event.source === this.frame.contentWindow)
          this.dispatchEvent(new MessageEvent("message", { data: event.data }));
      });
      document.documentElement.append(this.frame);
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.send(data);
    }

    send(data) {
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
