// A frame for each picture of the gallery: on a narrow screen the picture moves sideways in it, and the page stays.
document.addEventListener("DOMContentLoaded", () => {
    for (const picture of document.querySelectorAll("img.sphx-glr-single-img")) {
        const frame = document.createElement("div");
        frame.className = "picture";
        picture.replaceWith(frame);
        frame.append(picture);
    }
});
