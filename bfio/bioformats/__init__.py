"""Bio-Formats through JPype: the JVM, its readers and writers. jpype is imported here only, when first needed."""
