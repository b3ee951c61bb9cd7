// Package youtube reads the comment files of the YouTube Spam Collection: CSV in UTF-8 with the columns COMMENT_ID, AUTHOR, DATE, CONTENT
// and CLASS (1 is spam), one file a video. Texts are as a page held them: with HTML entities, tags and byte order marks.
//
// A file never stops at a bad row. What is wrong is reported with its line, and reading goes on at the next one.
//
// Some rows have no date. Such a row takes the time of the dated row before it in the file; those before the first dated row take that
// one's; in a file without any date all take [NoDate]. The same file therefore always gives the same times.
package youtube
