-- Pages by number begin at a row's id and go from chunk to chunk, so that nothing counts all chunks any more.
DROP INDEX dataset_chunks_counted;
