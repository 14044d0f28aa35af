// A camera that is worth its bitrate: the browsers' own fake picture fits through any link. There getUserMedia, and only it, is
// replaced; all that the page does with the track is its own.

/** 960x540, the least of which Chromium makes three layers, at 20 frames a second of coloured snow: encoders use all that they may. */
export const LIVELY_CAMERA = () => {
  const [width, height, fps] = [960, 540, 20];
  const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const snow = () => {
    const noise = Object.assign(document.createElement('canvas'), { width: width / 2, height: height / 2 });
    const paint = noise.getContext('2d');
    const image = paint.createImageData(noise.width, noise.height);
    for (let i = 0; i < image.data.length; i += 4) {
      image.data[i] = Math.random() * 255;
      image.data[i + 1] = Math.random() * 255;
      image.data[i + 2] = Math.random() * 255;
      image.data[i + 3] = 90;
    }
    paint.putImageData(image, 0, 0);
    return noise;
  };
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    if (!constraints.video) return original(constraints);
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const paint = canvas.getContext('2d', { alpha: false });
    const noise = snow();
    let frame = 0;
    const timer = setInterval(() => {
      frame += 1;
      paint.fillStyle = `hsl(${(frame * 3) % 360} 50% 50%)`;
      paint.fillRect(0, 0, width, height);
      // Grown to four times its size, so that the small layers see it as well; another cut of it in each frame.
      const [x, y] = [(frame * 37) % (width / 4), (frame * 53) % (height / 4)];
      paint.drawImage(noise, x, y, width / 4, height / 4, 0, 0, width, height);
      paint.fillStyle = '#fff';
      paint.fillRect((frame * 8) % width, height / 2 - 60, 120, 120);
    }, 1000 / fps);
    const stream = canvas.captureStream(fps);
    const [track] = stream.getVideoTracks();
    const stop = track.stop.bind(track);
    track.stop = () => {
      clearInterval(timer);
      stop();
    };
    return stream;
  };
};
