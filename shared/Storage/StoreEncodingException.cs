namespace MailPipeline.Storage;

/// <summary>The database keeps text in an encoding that does not have every character; an address or a reply could not be stored.</summary>
public sealed class StoreEncodingException(string database, string found)
    : Exception($"ConnectionStrings:maildb leads to the database '{database}', whose encoding is {found}; it must be UTF8 (CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0)");
