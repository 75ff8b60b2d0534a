#include "framework/checkpoint/safetensors.h"

#include <bit>
#include <cstring>

#include "framework/base/sha256.h"
#include "tests/support/folder_test.h"

namespace longhaul::checkpoint {
namespace {

std::string with_length(uint64_t length, const std::string& rest) {
  std::string text(reinterpret_cast<const char*>(&length), sizeof length);
  return text + rest;
}

class SafetensorsTest : public FolderTest {
 protected:
  /// What the reader says about a file of these bytes; the path is cut from the message.
  std::string said_of(const std::string& bytes) {
    io::remove_all(at("x.safetensors"));
    io::write_new_file(at("x.safetensors"), bytes);
    std::string text = message_of([&] { SafetensorsReader reader(at("x.safetensors")); });
    const std::string path = at("x.safetensors").string();
    if (const size_t found = text.find(path); found != std::string::npos) text.erase(found, path.size());
    return text;
  }
  std::string said_of(const std::string& header, size_t data_bytes) {
    return said_of(with_length(header.size(), header + std::string(data_bytes, '\1')));
  }
};

TEST_F(SafetensorsTest, RefusesEachFaultOfTheLengthWithItsOwnMessage) {
  EXPECT_EQ(said_of(""), "[safetensors] : the file has 0 bytes, at least 8 are needed");
  EXPECT_EQ(said_of("1234567"), "[safetensors] : the file has 7 bytes, at least 8 are needed");
  EXPECT_EQ(said_of(with_length(0, "{}")), "[safetensors] : the header length is 0");
  EXPECT_EQ(said_of(with_length(100'000'001, "{}")),
            "[safetensors] : the header length 100000001 is beyond the limit of 100000000 bytes");
  EXPECT_EQ(said_of(with_length(uint64_t{1} << 63, "{}")),
            "[safetensors] : the header length 9223372036854775808 is beyond the limit of 100000000 bytes");
  EXPECT_EQ(said_of(with_length(~uint64_t{0}, "{}")),
            "[safetensors] : the header length 18446744073709551615 is beyond the limit of 100000000 bytes");
  EXPECT_EQ(said_of(with_length(3, "{}")),
            "[safetensors] : the header length 3 is beyond the end of the file of 10 bytes");
}

TEST_F(SafetensorsTest, AcceptsAHeaderThatFillsTheFile) {
  EXPECT_EQ(said_of(with_length(2, "{}")), "no error");
  EXPECT_EQ(said_of(with_length(8, "{}      ")), "no error");
  EXPECT_EQ(said_of("{\"__metadata__\":{\"format\":\"pt\"}}", 0), "no error");
}

TEST_F(SafetensorsTest, RefusesWhatIsNotTheHeaderObject) {
  EXPECT_EQ(said_of(" {}", 0), "[safetensors] : the header does not begin with '{'");
  EXPECT_EQ(said_of("[]", 0), "[safetensors] : the header does not begin with '{'");
  EXPECT_EQ(
      said_of("{", 0),
      "[safetensors] : the header is not JSON at byte 2: syntax error while parsing object key - unexpected end of "
      "input; expected string literal");
  EXPECT_EQ(said_of("{}{}", 0),
            "[safetensors] : the header is not JSON at byte 3: syntax error while parsing value - unexpected '{'; "
            "expected end of "
            "input");
  EXPECT_EQ(said_of("{\"a\xff\":1}", 0),
            "[safetensors] : the header is not JSON at byte 4: syntax error while parsing object key - invalid string: "
            "ill-formed "
            "UTF-8 byte; last read: '\"a\xff'; expected string literal");
  EXPECT_EQ(said_of("{\"a\":1}", 0), "[safetensors] : \"a\" is a number, expected an object");
  EXPECT_EQ(said_of("{\"a\":null}", 0), "[safetensors] : \"a\" is null, expected an object");
  EXPECT_EQ(said_of("{\"a\":[]}", 0), "[safetensors] : \"a\" is an array, expected an object");
  EXPECT_EQ(said_of("{\"__metadata__\":{\"k\":1}}", 0),
            "[safetensors] : \"k\" of \"__metadata__\" holds a number, expected text");
  EXPECT_EQ(said_of("{\"__metadata__\":{\"k\":{}}}", 0),
            "[safetensors] : \"k\" of \"__metadata__\" holds an object, expected text");
}

TEST_F(SafetensorsTest, RefusesDepthWithoutUsingTheStack) {
  EXPECT_EQ(said_of("{\"a\":" + std::string(10'000, '['), 0), "[safetensors] : \"a\" is an array, expected an object");
  EXPECT_EQ(said_of("{\"a\":{\"shape\":" + std::string(10'000, '['), 0),
            "[safetensors] : \"shape\" of \"a\" holds an array, expected whole numbers of 0 or more");
  std::string objects;
  for (int i = 0; i < 10'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(said_of(objects, 0), "[safetensors] : tensor \"a\" has an unknown member \"a\"");
}

TEST_F(SafetensorsTest, RefusesFaultyTensorsWithTheirNames) {
  const auto tensor = [](const std::string& name, const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
  };
  const auto one = [&](const std::string& dtype, const std::string& shape, const std::string& offsets, size_t bytes) {
    return said_of("{" + tensor("a", dtype, shape, offsets) + "}", bytes);
  };
  EXPECT_EQ(said_of("{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("a", "U8", "[1]", "[1,2]") + "}", 2),
            "[safetensors] : \"a\" stands twice in the header");
  EXPECT_EQ(said_of("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0),
            "[safetensors] : \"dtype\" of \"a\" stands twice");
  EXPECT_EQ(said_of("{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}", 0), "[safetensors] : tensor \"a\" has no data_offsets");
  EXPECT_EQ(said_of("{\"a\":{}}", 0), "[safetensors] : tensor \"a\" has no dtype");
  EXPECT_EQ(said_of("{\"a\":{\"type\":1}}", 0), "[safetensors] : tensor \"a\" has an unknown member \"type\"");
  EXPECT_EQ(one("U8", "[1]", "[1,0]", 1), "[safetensors] : tensor \"a\" begins at 1 and ends before, at 0");
  EXPECT_EQ(one("U8", "[1]", "[0]", 1), "[safetensors] : data_offsets of tensor \"a\" hold 1 numbers, expected 2");
  EXPECT_EQ(one("U8", "[1]", "[0,1,2]", 1), "[safetensors] : data_offsets of tensor \"a\" hold 3 numbers, expected 2");
  EXPECT_EQ(one("U8", "[-1]", "[0,1]", 1),
            "[safetensors] : \"shape\" of \"a\" holds a negative number, expected whole numbers of 0 or more");
  EXPECT_EQ(one("U8", "[1.5]", "[0,1]", 1),
            "[safetensors] : \"shape\" of \"a\" holds a fraction or a number beyond 64 bits, expected whole numbers of "
            "0 or more");
  EXPECT_EQ(one("U8", "[9223372036854775808]", "[0,1]", 1),
            "[safetensors] : shape of tensor \"a\" holds 9223372036854775808, which is beyond 2^63");
  EXPECT_EQ(one("U8", "\"1\"", "[0,1]", 1),
            "[safetensors] : \"shape\" of \"a\" holds text, expected whole numbers of 0 or more");
  EXPECT_EQ(one("U9", "[1]", "[0,1]", 1), "[safetensors] : tensor \"a\" has the unknown dtype \"U9\"");
  EXPECT_EQ(one("F32", "[2]", "[0,4]", 4), "[safetensors] : tensor \"a\" has 4 bytes, its dtype and shape need 8");
  EXPECT_EQ(one("F4", "[3]", "[0,2]", 2), "[safetensors] : tensor \"a\" of F4 does not end on a whole byte");
  EXPECT_EQ(one("F32", "[4194305,4194305,211106198978564]", "[0,16]", 16),
            "[safetensors] : the shape of tensor \"a\" has more than 2^64 bits");
  EXPECT_EQ(one("U8", "[9223372036854775807,2]", "[0,16]", 16),
            "[safetensors] : the shape of tensor \"a\" has more than 2^64 bits");
  // The bytes alone fit 64 bits; rounding such an end up to an alignment would wrap.
  EXPECT_EQ(one("U8", "[1152921504606846975]", "[9223372036854775800,9223372036854775807]", 16),
            "[safetensors] : bytes 0 to 9223372036854775800, before tensor \"a\", belong to no tensor");
  EXPECT_EQ(one("U8", "[65]", std::string("[0,") + "65]", 64),
            "[safetensors] : the tensors need 65 bytes, the file has 64: it was cut off");
  EXPECT_EQ(one("U8", "[1]", "[0,1]", 3), "[safetensors] : 2 bytes follow the last tensor");
  EXPECT_EQ(said_of("{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[2]", "[1,3]") + "}", 3),
            "[safetensors] : tensor \"b\" begins at 1, inside the tensor before it, which ends at 2");
  EXPECT_EQ(said_of("{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[2]", "[3,5]") + "}", 5),
            "[safetensors] : bytes 2 to 3, before tensor \"b\", belong to no tensor");
  std::string ones = "[1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  EXPECT_EQ(one("U8", ones + "]", "[0,1]", 1), "[safetensors] : shape of tensor \"a\" holds more than 64 numbers");
}

TEST_F(SafetensorsTest, AcceptsScalarsEmptyTensorsAnyOrderAndLongNames) {
  const std::string name(1 << 20, 'n');
  const std::string header =
      "{\"b\":{\"data_offsets\":[4,6],\"shape\":[2],\"dtype\":\"BOOL\"},\"zero\":{\"dtype\":\"F32\",\"shape\":"
      "[3,0,9223372036854775807],\"data_offsets\":[4,4]},\"" +
      name + "\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}";
  io::write_new_file(at("x"), with_length(header.size(), header + std::string("\1\2\3\4\1\0", 6)));
  const SafetensorsReader reader(at("x"));
  ASSERT_EQ(reader.header().entries.size(), 3u);
  EXPECT_EQ(reader.header().entries[0].name, name);
  EXPECT_EQ(reader.header().entries[1].name, "zero");
  EXPECT_EQ(reader.header().entries[2].name, "b");
  EXPECT_EQ(reader.read(reader.entry(name)).rank(), 0);
  EXPECT_EQ(message_of([&] { reader.read(reader.entry("b")); }),
            "[safetensors] " + at("x").string() + ": tensor \"b\" is BOOL, for which there are no tensors here");
}

TEST_F(SafetensorsTest, EveryBitComesBackNaNPayloadsIncluded) {
  const std::vector<float> values = {
      1.5F, std::bit_cast<float>(0x7fa12345u), std::bit_cast<float>(0xffc00001u), -0.0F, 3e-42F, 7.0F};
  const Tensor a = Tensor::of(Shape({2, 3}), values);
  const Tensor b = Tensor::of(Shape({3}), std::vector<int64_t>{-1, 5, INT64_MAX});
  const Tensor c = Tensor::of(Shape(), std::vector<uint8_t>{7});
  const ManifestFile file =
      write_safetensors(at("x"), std::vector<NamedTensor>{{"c", c}, {"a", a}, {"b", b}, {"t", a.permute({1, 0})}},
                        {{"format", "pt"}, {"note", "\xc3\xa4 \"quoted\""}});
  const SafetensorsReader reader(at("x"));
  EXPECT_EQ(reader.header().metadata.at("note"), "\xc3\xa4 \"quoted\"");
  EXPECT_EQ(reader.header().data_offset % 8, 0u);
  // Largest elements first, then by name.
  std::string order;
  for (const SafetensorsEntry& entry : reader.header().entries) order += entry.name;
  EXPECT_EQ(order, "batc");
  const Tensor back = reader.read(reader.entry("a"));
  EXPECT_EQ(std::memcmp(back.raw(), values.data(), 24), 0);
  const Tensor transposed = reader.read(reader.entry("t"));
  EXPECT_EQ(transposed.shape(), Shape({3, 2}));
  EXPECT_EQ(std::bit_cast<uint32_t>(transposed.data<float>()[2]), 0x7fa12345u);
  // Reading into a strided view undoes it.
  const Tensor again = Tensor::zeros(Shape({2, 3}), DType::kF32, Device::cpu());
  const std::string hash = reader.read(reader.entry("t"), again.permute({1, 0}), true);
  EXPECT_EQ(std::memcmp(again.raw(), values.data(), 24), 0);
  EXPECT_EQ(hash, file.tensors[2].sha256);
  EXPECT_EQ(file.tensors[2].name, "t");
  EXPECT_EQ(file.sha256, sha256_hex_of_file(at("x")));
  EXPECT_EQ(file.size, io::info(at("x")).size);
  EXPECT_EQ(file.tensors.back().end, file.size);
}

TEST_F(SafetensorsTest, ReadingChecksShapeAndDtype) {
  const Tensor a = Tensor::of(Shape({2}), std::vector<float>{1.5F, -2.25F});
  write_safetensors(at("x"), std::vector<NamedTensor>{{"a", a}}, {});
  const SafetensorsReader reader(at("x"));
  const Tensor wrong_shape = Tensor::zeros(Shape({1, 2}), DType::kF32, Device::cpu());
  const Tensor wrong_dtype = Tensor::zeros(Shape({2}), DType::kI32, Device::cpu());
  const std::string path = at("x").string();
  EXPECT_EQ(message_of([&] { reader.read(reader.entry("a"), wrong_shape, false); }),
            "[safetensors] " + path + ": tensor \"a\" has shape [2], expected [1, 2]");
  EXPECT_EQ(message_of([&] { reader.read(reader.entry("a"), wrong_dtype, false); }),
            "[safetensors] " + path + ": tensor \"a\" is F32, expected I32");
  EXPECT_EQ(message_of([&] { reader.entry("b"); }), "[safetensors] " + path + ": there is no tensor \"b\"");
  for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF64}) {
    const Tensor into = Tensor::zeros(Shape({2}), dtype, Device::cpu());
    reader.read(reader.entry("a"), into, false);
    io::remove_all(at("y"));
    write_safetensors(at("y"), std::vector<NamedTensor>{{"a", into}}, {});
    const SafetensorsReader second(at("y"));
    const Tensor back = Tensor::zeros(Shape({2}), DType::kF32, Device::cpu());
    second.read(second.entry("a"), back, false);
    EXPECT_EQ(back.data<float>()[0], 1.5F);
    EXPECT_EQ(back.data<float>()[1], -2.25F);
  }
}

TEST_F(SafetensorsTest, TwoTensorsOfOneNameAreNotWritten) {
  const Tensor a = Tensor::of(Shape({1}), std::vector<float>{1});
  EXPECT_EQ(message_of([&] {
              write_safetensors(at("x"), std::vector<NamedTensor>{{"a", a}, {"a", a}}, {});
            }),
            "[safetensors] " + at("x").string() + ": two tensors are named \"a\"");
  EXPECT_FALSE(io::exists(at("x")));
}

TEST_F(SafetensorsTest, LargeTensorsAreStreamedInPieces) {
  const int64_t rows = 1111;
  const int64_t columns = 777;
  std::vector<float> values(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Tensor a = Tensor::of(Shape({rows, columns}), values);
  write_safetensors(at("x"), std::vector<NamedTensor>{{"a", a.permute({1, 0})}}, {});
  const SafetensorsReader reader(at("x"));
  const Tensor back = Tensor::zeros(Shape({rows, columns}), DType::kF64, Device::cpu());
  reader.read(reader.entry("a"), back.permute({1, 0}), false);
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(back.data<double>()[i], values[i]) << i;
}

}  // namespace
}  // namespace longhaul::checkpoint
