using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using CsCheck;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Authentication.Tests.Dkim;

public sealed class CanonicalizationTests
{
    // RFC 6376 §3.4.5, where <SP> and <HTAB> are written out.
    private const string Header = "A: X\r\nB : Y\t\r\n\tZ  \r\n";
    private const string Body = " C \r\nD \t E\r\n\r\n\r\n";

    [Theory]
    [InlineData(false, "A: X\r\nB : Y\t\r\n\tZ  \r\n")]
    [InlineData(true, "a:X\r\nb:Y Z\r\n")]
    public void A_header_is_that_of_the_RFC(bool isRelaxed, string expected)
    {
        var written = new ArrayBufferWriter<byte>();
        foreach (var field in MessageHeader.Parse(Encoding.Latin1.GetBytes(Header)).Fields)
            CanonicalField.Write(written, FormOf(isRelaxed), field);
        Assert.Equal(expected, Encoding.Latin1.GetString(written.WrittenSpan));
    }

    [Theory]
    [InlineData(false, Body, " C \r\nD \t E\r\n")]
    [InlineData(true, Body, " C\r\nD E\r\n")]
    [InlineData(false, "", "\r\n")]
    [InlineData(true, "", "")]
    [InlineData(false, "\r\n\r\n", "\r\n")]
    [InlineData(true, "\r\n \t\r\n", "")]
    [InlineData(false, "x", "x\r\n")]
    [InlineData(true, "x \t", "x\r\n")]
    [InlineData(false, "x \r\n", "x \r\n")]
    [InlineData(true, "\t x\r\n\r\n  \r\ny", " x\r\n\r\n\r\ny\r\n")]
    [InlineData(true, "a\rb \rc\nd\r\n", "a\rb \rc\nd\r\n")]
    [InlineData(false, "a\r", "a\r\r\n")]
    public void A_body_is_that_of_the_RFC_however_it_is_cut(bool isRelaxed, string body, string expected)
    {
        foreach (var piece in new[] { 1, 2, 3, 1000 })
        {
            var hashes = new BodyHashes();
            var hash = hashes.Add(FormOf(isRelaxed));
            foreach (var part in Encoding.Latin1.GetBytes(body).Chunk(piece))
                hashes.Take(part);
            hashes.End();
            Assert.Equal(SHA256.HashData(Encoding.Latin1.GetBytes(expected)), hash.Value.ToArray());
            Assert.Equal(expected.Length, hash.BodyBytes);
        }
    }

    [Fact]
    public void However_a_body_is_cut_its_hashes_are_the_same()
    {
        var octet = Gen.OneOfConst((byte)' ', (byte)'\t', (byte)'\r', (byte)'\n', (byte)'x', (byte)0xE9);
        Gen.Select(octet.Array[0, 200], Gen.Int[1, 50], Gen.Bool, Gen.Long[0, 100]).Sample((body, piece, isRelaxed, max) =>
        {
            var (whole, cut) = (new BodyHashes(), new BodyHashes());
            BodyHash[] of =
            [
                whole.Add(FormOf(isRelaxed)), cut.Add(FormOf(isRelaxed)), whole.Add(FormOf(isRelaxed), max), cut.Add(FormOf(isRelaxed), max),
            ];
            whole.Take(body);
            foreach (var part in body.Chunk(piece))
                cut.Take(part);
            whole.End();
            cut.End();
            return of[0].Value.Span.SequenceEqual(of[1].Value.Span) && of[2].Value.Span.SequenceEqual(of[3].Value.Span)
                && of[0].BodyBytes == of[3].BodyBytes;
        });
    }

    [Fact]
    public void A_body_of_line_ends_alone_takes_no_memory()
    {
        var hashes = new BodyHashes();
        var hash = hashes.Add(Canonicalization.Relaxed);
        var ends = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat("\r\n", 50_000)));
        hashes.Take("x"u8);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
            hashes.Take(ends);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10_000);
        hashes.End();
        Assert.Equal(3, hash.BodyBytes);
    }

    private static Canonicalization FormOf(bool isRelaxed) => isRelaxed ? Canonicalization.Relaxed : Canonicalization.Simple;
}
