namespace MailPipeline.Storage;

/// <summary>
/// A piece of a message's content: inline in its row (<see cref="Inline"/>, of which the first <c>SizeBytes</c> count), or in a
/// segment file at a position.
/// </summary>
internal readonly record struct ContentChunk(long Id, int SizeBytes, byte[]? Inline, long Segment, long Position);

/// <summary>
/// Ids of chunks: the id of the message and the number of the chunk within its content (0 to 65,535) in one 63-bit number, so that the
/// content of a message is one key range.
/// </summary>
internal static class ChunkIds
{
    private const int NumberBits = 16;

    public static long Of(long messageId, int number) => (messageId << NumberBits) | (uint)number;

    /// <summary>The chunk that begins with what stands in front of the content.</summary>
    public static long First(long messageId) => Of(messageId, 0);

    public static bool IsFirst(long id) => (id & ((1 << NumberBits) - 1)) == 0;

    /// <summary>The chunks of a content that is too large to lie in the first one.</summary>
    public static long OfContent(long messageId, int number) => Of(messageId, number + 1);

    public static long Last(long messageId) => Of(messageId, (1 << NumberBits) - 1);
}
